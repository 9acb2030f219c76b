# SPDX-License-Identifier: ISC
"""How fast passcat send is, through passd, beside scp on the same machine.

    cd build && /usr/bin/python3 -B ../tests/bench/transfer.py [--mib N]
        [--rounds N] [--files N]

A Prosody with TLS, a passd and an sshd of its own are started on loopback, in
a temporary directory; files are in memory where there is /dev/shm.  The
contenders take turns, round by round:

    send            passcat send to passcat receive, through passd
    scp             to the sshd, nobody in between
    scp, relayed    to the sshd behind passcat forward, through the same passd

Time is counted from the first byte that is moved, without looking for the
peer or logging in: send's from its event "proven" to its end; scp's is the
whole of it less that of copying nothing.  CPU is that of both ends.
"""

import argparse
import os
import pathlib
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import passcat      # noqa: E402: of the end-to-end tests
import ports        # noqa: E402
import servers      # noqa: E402

MIB = 1 << 20
ALICE, BOB = ("%s@%s" % (name, servers.DOMAIN) for name in ("alice", "bob"))

SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host
AuthorizedKeysFile {dir}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
Subsystem sftp internal-sftp
"""


class Ssh:
    """An sshd of our own, and scp to it."""

    def __init__(self, directory, port):
        self.dir, self.port = directory, port
        directory.mkdir()
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "",
                            "-f", str(directory / name)], check=True)
        (directory / "sshd_config").write_text(SSHD.format(
            port=port, dir=directory))
        os.makedirs("/run/sshd", exist_ok=True)     # it insists
        self.process = subprocess.Popen(
            servers.TETHER + ["/usr/sbin/sshd", "-D", "-e", "-f",
                              str(directory / "sshd_config")],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        servers.wait_port(port, self.process)

    def copy(self, sources, target, port):
        subprocess.run(
            ["scp", "-q", "-r", "-F", "none", "-P", str(port),
             "-i", str(self.dir / "user"),
             "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=%s" % (self.dir / "known"),
             *map(str, sources), "%s@127.0.0.1:%s/" % (
                 pwd.getpwuid(os.geteuid()).pw_name, target)],
            check=True, stdin=subprocess.DEVNULL, timeout=600)

    def close(self):
        self.process.terminate()
        self.process.wait()


def cpu(pids):
    """User and system seconds of processes and all they have waited for."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path("/proc/%d/stat" % pid).read_text()
        ticks += sum(map(int, fields.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, args, directory):
        self.args = args
        self.dir = directory
        self.results = {}
        self.slot = ports.Ports()
        self.world = passcat.secure("prosody", directory / "world", self.slot)
        self.ssh = Ssh(directory / "ssh", self.slot.single())
        self.cat = passcat.Passcat(self.world.server, self.world.passd,
                                   directory)
        _, (_, self.forwarded) = self.cat.forward(
            self.ssh.port, "--yes", user="carol")
        self.source = directory / "source"
        self.target = directory / "target"
        self.nothing = directory / "nothing"
        self.nothing.write_bytes(b"")

    def make(self):
        """What is copied: one large file, or a directory of small ones."""
        block = os.urandom(MIB)
        if not self.args.files:
            with open(self.source, "wb") as file:
                for _ in range(self.args.mib):
                    file.write(block)
            return
        self.source.mkdir()
        size = self.args.mib * MIB // self.args.files
        for i in range(self.args.files):
            (self.source / ("file%06d" % i)).write_bytes(
                (block * (size // MIB + 1))[:size])

    def send(self):
        receiver = self.cat.start("receive", "--from", ALICE, str(self.target),
                                  user="bob")
        receiver.event("waiting")
        sender = self.cat.start("send", str(self.source), BOB)
        sender.event("proven", 60)
        began = time.monotonic()
        before = cpu((sender.process.pid, receiver.process.pid))
        sender.event("done", 600)
        seconds = time.monotonic() - began
        used = os.times()
        assert sender.wait() == 0 and receiver.wait() == 0, sender.text()
        after = os.times()
        # What they have used in all, less what it was at the beginning.
        return seconds, (after.children_user + after.children_system -
                         used.children_user - used.children_system - before)

    def scp(self, port):
        def once(sources):
            began, used = time.monotonic(), cpu((self.ssh.process.pid,))
            own = os.times()
            self.ssh.copy(sources, self.target, port)
            end = os.times()
            return (time.monotonic() - began,
                    end.children_user + end.children_system -
                    own.children_user - own.children_system +
                    cpu((self.ssh.process.pid,)) - used)
        empty, all_of_it = once([self.nothing]), once([self.source])
        return tuple(b - a for a, b in zip(empty, all_of_it))

    def round(self):
        for name, run in (
                ("send", self.send),
                ("scp", lambda: self.scp(self.ssh.port)),
                ("scp, relayed", lambda: self.scp(self.forwarded))):
            self.target.mkdir()
            self.results.setdefault(name, []).append(run())
            shutil.rmtree(self.target)

    def table(self):
        what = "%d MiB" % self.args.mib
        if self.args.files:
            what += " in %d files" % self.args.files
        print("%s, median of %d rounds" % (what, self.args.rounds))
        print("%-14s %10s %12s %10s" % ("", "MiB/s", "CPU s/GiB",
                                        "x scp"))
        rates = {name: statistics.median(self.args.mib / s for s, _ in runs)
                 for name, runs in self.results.items()}
        for name, runs in self.results.items():
            print("%-14s %10.0f %12.2f %10.2f" % (
                name, rates[name],
                statistics.median(c for _, c in runs) * 1024 / self.args.mib,
                rates[name] / rates["scp"]))

    def close(self):
        self.cat.close()
        self.ssh.close()
        self.world.passd.stop()
        self.world.server.stop()
        self.slot.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for variable, name in (("PASSD", "passd"), ("PASSCAT", "passcat"),
                           ("PASSD_WORKER", "passd-worker")):
        os.environ.setdefault(variable, os.path.abspath(name))
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="passcat-bench-",
                                     dir=base) as directory:
        os.chmod(directory, 0o755)
        bench = Bench(args, pathlib.Path(directory))
        try:
            bench.make()
            for _ in range(args.rounds):
                bench.round()
            bench.table()
        finally:
            bench.close()


if __name__ == "__main__":
    main()
