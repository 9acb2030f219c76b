# SPDX-License-Identifier: ISC
"""Workers that somebody has taken, in a running passd: they reach neither
parent nor control nor their siblings, and other relays go on.  The whole list
of attempts is in tests/escape; these are made against the real processes."""

import os
import shutil
import signal
import socket
import struct
import tempfile
from pathlib import Path

import pytest

import daemon
import tcp
from test_hostile import Echo, wait

REQUEST = struct.Struct("=8s40s4i8H64s")
REPLY = struct.Struct("=i")

# Refused: the worker lives and tries the next.
REFUSED = (
    "tgkill a sibling", "tgkill the spawner", "tgkill the parent",
    "tgkill control", "open a file for all", "open the parent's memory",
    "list the parent's descriptors", "open control's environment",
    "open a sibling's memory", "open /proc/self/mem", "create a file",
    "clone, as fork does", "clone CLONE_PARENT",
    "prlimit itself, processes", "peer: ioctl FIOSETOWN parent")
# Each costs a worker its life; one for each owner, who then has to wait.
DEADLY = {
    "carol": "kill the parent", "dave": "ptrace control",
    "mallory": "TCP: socket, connect"}


def program():
    """escape_worker of tests/escape, which make check has built."""
    passd = Path(os.environ.get("PASSD", "passd"))
    path = passd.parent / "tests" / "escape" / "escape_worker"
    if not os.access(path, os.X_OK):
        pytest.skip("escape_worker was not built")
    return str(path)


class Attacker:
    """A peer who takes the worker of a port, as soon as it is paired."""

    def __init__(self, passd, client, bait):
        self.passd, self.client, self.bait = passd, client, bait
        self.port = client.register(timeout=15)
        self.peer = tcp.connect(("127.0.0.1", self.port))
        request = client.request()
        request.accept()
        self.leg = tcp.connect(passd.bound(request.proxy))

    def request(self, name):
        one = self.passd.one
        sibling = [pid for pid in self.passd.kin("worker")
                   if daemon.title(pid) != "passd: worker %d" % self.port][0]
        port = self.bait.listener.getsockname()[1]
        return REQUEST.pack(
            b"escape 1", name.encode(), sibling, one("spawner", 15),
            self.passd.process.pid, one("control", 15),
            port, port, port, port, 0, 0, 0, 0, self.bait.path.encode())

    def attempt(self, name):
        """Return the errno, 0 if it had its way; None: the worker died."""
        self.peer.sendall(self.request(name))
        try:
            data = tcp.read_exactly(self.leg, REPLY.size)
        except (AssertionError, ConnectionError):
            return None
        return REPLY.unpack(data)[0]

    def close(self):
        self.peer.close()
        self.leg.close()


class Bait:
    """A listener and a directory that anybody might use."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.path = tempfile.mkdtemp(prefix="passd-escape-")
        os.chmod(self.path, 0o777)
        Path(self.path, "file").write_text("anybody may read this\n")

    def untouched(self):
        assert os.listdir(self.path) == ["file"]
        with pytest.raises(BlockingIOError):
            self.listener.accept()

    def close(self):
        self.listener.close()
        shutil.rmtree(self.path)


@pytest.fixture
def bait():
    bait = Bait()
    yield bait
    bait.close()


def relay(passd, client):
    port = client.register()
    peer = tcp.connect(("127.0.0.1", port))
    request = client.request()
    request.accept()
    return peer, tcp.connect(passd.bound(request.proxy))


@pytest.mark.limit(60)
def test_taken_workers_reach_nobody(fake, launch, bait):
    passd = launch(fake, fake.people, start=False)
    if "sanitizers=no" not in passd.run("-V").stdout:
        pytest.skip("sanitizers: their filters let more through")
    passd.worker = program()
    passd.crashes_expected = True
    passd.config.rules = passd.config.rules[:1]     # mallory, too
    passd.start()
    relays = [Echo(*relay(passd, passd.client(name)))
              for name in ("alice", "bob")]
    pids = (passd.process.pid, passd.one("control"))

    attacker = Attacker(passd, passd.client("dave"), bait)
    for name in REFUSED:
        error = attacker.attempt(name)
        assert error not in (0, None), "%s: %s" % (name, error)
    # It can write to what is in place of stderr, and nobody hears it.
    assert attacker.attempt("say something") == 0
    assert "forged" not in passd.text()
    assert passd.client("dave").close_port(attacker.port).ok
    attacker.close()
    for one in relays:
        one.check()

    for owner, name in DEADLY.items():
        client = passd.client(owner)
        attacker = Attacker(passd, client, bait)
        assert attacker.attempt(name) is None, name
        passd.wait_log(r"worker died port=%d .*signal=%d " % (
            attacker.port, signal.SIGSYS), 15)
        client.notice(["close", "proxy"], attacker.port)
        attacker.close()
        for one in relays:
            one.check()
    bait.untouched()
    assert pids == (passd.process.pid, passd.one("control"))
    assert all(daemon.alive(pid) for pid in pids)
    for one in relays:
        one.end()
    # And it goes on working for those who had no part in it.
    wait(lambda: passd.client("alice").query().ok, "no port for alice")
