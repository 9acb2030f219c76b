# SPDX-License-Identifier: ISC
"""How fast passcat listen moves bytes, beside nc as the owner's leg, through
the same passd: in turns, and the table has the medians of the rounds.

    PASSD=./passd PASSD_WORKER=./passd-worker PASSCAT=./passcat \\
        /usr/bin/python3 ../tests/bench/listen.py [--rounds N] [--size MIB]

Traffic is on loopback only, everything is in a temporary directory.  Needs
Prosody, openssl, nc (OpenBSD's) and slixmpp.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "e2e"))

import passcat          # noqa: E402 (found by the path above)
import ports            # noqa: E402
import servers          # noqa: E402
import users            # noqa: E402

LIMIT = 120             # seconds, one run


class Prosody(servers.Prosody):
    """TLS for passcat, and none for the user whose legs are nc's."""

    def write(self):
        super().write()
        config = self.dir / "prosody.cfg.lua"
        config.write_text(config.read_text().replace(
            "c2s_require_encryption = true", "c2s_require_encryption = false\n"
            "allow_unencrypted_plain_auth = true"))


class Rig:
    """A server, a passd, a file to send, and who sends it."""

    def __init__(self, directory, size):
        self.dir = directory
        self.slot = ports.Ports()
        servers.SERVERS["bench"] = Prosody
        self.both = passcat.secure("bench", directory / "rig", self.slot)
        self.cat = passcat.Passcat(self.both.server, self.both.passd,
                                   directory)
        self.loop = users.Loop()
        self.user = users.User(self.loop, self.both.server, servers.DOMAIN,
                               "bob", servers.PASSWORD, "bench")
        self.owner = users.Client(self.user, self.both.passd)
        self.file = directory / "file"
        self.size = size
        with open(self.file, "wb") as file:
            block = os.urandom(1 << 20)
            for _ in range(size >> 20):
                file.write(block)

    def close(self):
        self.cat.close()
        self.user.close()
        self.loop.close()
        self.both.passd.stop()
        self.both.server.stop()
        self.slot.close()

    # Readers: return the seconds from their start to their end.

    def read(self, argv):
        began = time.monotonic()
        subprocess.run(argv, stdin=subprocess.DEVNULL, check=True,
                       stdout=subprocess.DEVNULL, timeout=LIMIT)
        return time.monotonic() - began

    def nc(self, address):
        return self.read(["nc", "-d", address[0], str(address[1])])

    def connect(self, address):
        return self.read([self.cat.program, "connect", address[0],
                          str(address[1])])

    # Contenders.

    def nc_nc(self):
        """nc is the owner's leg, somebody else speaks XMPP for it."""
        port = self.owner.register(oneshot=True)
        reader = subprocess.Popen(["nc", "-d", "127.0.0.1", str(port)],
                                  stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL)
        began = time.monotonic()
        while not (request := self.owner.next(20)).is_request:
            pass            # the notice of the run before
        request.accept()
        with open(self.file, "rb") as file:
            subprocess.run(["nc", "-N", request.proxy[0],
                            str(request.proxy[1])], stdin=file, check=True,
                           stdout=subprocess.DEVNULL, timeout=LIMIT)
        reader.wait(LIMIT)
        return time.monotonic() - began

    def listen(self, reader):
        with open(self.file, "rb") as file:
            running, address = self.cat.listen("--yes", stdin=file)
            seconds = reader(address)
        assert running.wait(LIMIT) == 0, running.text()
        return seconds

    def listen_nc(self):
        return self.listen(self.nc)

    def listen_connect(self):
        return self.listen(self.connect)


CONTENDERS = [
    ("nc to nc", "nc_nc"),
    ("passcat listen to nc", "listen_nc"),
    ("passcat listen to passcat connect", "listen_connect"),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    args = parser.parse_args()
    times = {}
    with tempfile.TemporaryDirectory(prefix="passd-bench-") as directory:
        os.chmod(directory, 0o755)      # the relay is another user's
        rig = Rig(pathlib.Path(directory), args.size << 20)
        try:
            for _ in range(args.rounds):
                for name, method in CONTENDERS:
                    times.setdefault(name, []).append(getattr(rig, method)())
        finally:
            rig.close()
    first = None
    print("%d MiB, median of %d rounds" % (args.size, args.rounds))
    for name, _ in CONTENDERS:
        seconds = statistics.median(times[name])
        rate = args.size / 1024 / seconds
        first = first or rate
        print("  %-36s %6.2f GiB/s  %5.2f" % (name, rate, rate / first))
    return 0


if __name__ == "__main__":
    sys.exit(main())
