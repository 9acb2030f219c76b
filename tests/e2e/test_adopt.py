# SPDX-License-Identifier: ISC
"""Nothing is lost: control, spawner and worker die or hang, the program is
replaced, the configuration changes what a process cannot change."""

import os
import shutil
import signal
import threading
import time

import pytest

import daemon
import tcp
from test_daemon import at, relay
from test_incoming import knock


class Stream(threading.Thread):
    """Bytes both ways through a relay, checked, until told to stop."""

    def __init__(self, one, other):
        super().__init__(daemon=True)
        self.ends = one, other
        self.rounds = 0
        self.failure = None
        self.enough = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.enough.is_set():
                for source, sink in (self.ends, self.ends[::-1]):
                    block = os.urandom(4096)
                    source.sendall(block)
                    if tcp.read_exactly(sink, len(block)) != block:
                        raise ValueError("other bytes")
                self.rounds += 1
        except (OSError, ValueError, AssertionError) as failure:
            self.failure = failure

    def stop(self):
        """It ran all the while, and a whole round after this moment."""
        before = self.rounds
        end = time.monotonic() + 15
        while self.rounds < before + 2 and self.failure is None:
            assert time.monotonic() < end, "the relay stands still"
            time.sleep(0.01)
        self.enough.set()
        self.join(15)
        assert self.failure is None, repr(self.failure)


def new(passd, role, old, timeout=20):
    """Wait for another process of that role; return its pid."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        pids = [pid for pid in passd.kin(role) if pid != old]
        if pids:
            return pids[0]
        time.sleep(0.02)
    raise AssertionError("no new %s\n%s" % (role, passd.tail()))


def kill_control(passd, sig=signal.SIGKILL):
    passd.crashes_expected = True
    old, mark = passd.one("control", 10), passd.mark()
    os.kill(old, sig)
    new(passd, "control", old)
    return mark


def test_control_dies(start):
    """Relays do not notice, ports and their time stay, clients that wait are
    announced again under the same id."""
    passd = start(quota={"sessions": "2 per port"}, timeout={"answer": "20s"})
    alice, bob = passd.client("alice"), passd.client("bob")
    port = alice.register(expire=600)
    stream = Stream(*relay(alice, port))
    peer, request, rendezvous = knock(alice, port)
    once = bob.register(oneshot=True)
    mark = kill_control(passd)
    again = alice.request(20)
    assert again.id == request.id
    assert again.peer == request.peer and again.proxy == request.proxy
    passd.wait_log(r"link up ", 1, mark)
    assert alice.ports() == {port} and bob.ports() == {once}
    again.accept()
    leg = tcp.connect(rendezvous)
    tcp.joined(peer, leg)
    stream.stop()
    relay(bob, once)
    bob.notice(["oneshot", "close", "proxy"], once)
    assert tcp.wait_refused(at(once))
    assert alice.close_port(port).ok
    assert tcp.wait_refused(at(port))


def test_control_dies_with_the_leg_in(start):
    """The owner's connection is kept, and only his answer is missing."""
    passd = start(timeout={"answer": "20s"})
    alice = passd.client("alice")
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    leg = tcp.connect(rendezvous)
    passd.wait_log(r"leg port=%d .*state=held" % port)
    mark = kill_control(passd)
    passd.wait_log(r"link up ", 20, mark)
    alice.silent()
    request.accept()
    tcp.joined(peer, leg)


def test_control_dies_again_and_again(start):
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    for _ in range(3):
        mark = kill_control(passd)
        passd.wait_log(r"link up ", 20, mark)
        assert alice.ports() == {port}
    stream.stop()
    assert alice.close_port(port).ok


def test_expiry_while_control_is_gone(start):
    """It counts on, and the owner is told once, under one id."""
    passd = start()
    alice = passd.client("alice")
    port = alice.register(expire=2)
    mark = kill_control(passd)
    passd.wait_log(r"link up ", 20, mark)
    alice.notice(["expire", "close", "proxy"], port, 20)
    assert tcp.wait_refused(at(port))
    assert alice.ports() == set()       # by now our answer was heard
    mark = kill_control(passd)
    passd.wait_log(r"link up ", 20, mark)
    alice.silent(0.5)


def test_session_that_ends_without_control(start):
    """What was not told to the dead control is told to the next."""
    passd = start()
    passd.crashes_expected = True
    alice = passd.client("alice")
    port = alice.register()
    peer, leg = relay(alice, port)
    old, mark = passd.one("control"), passd.mark()
    os.kill(old, signal.SIGSTOP)        # it reads nothing any more
    peer.sendall(b"x" * 1000)
    assert tcp.read_exactly(leg, 1000) == b"x" * 1000
    tcp.hang_up(peer, leg)
    os.kill(old, signal.SIGKILL)
    passd.wait_log(r"ended port=%d .*cause=eof in=1004 " % port, 20, mark)
    passd.wait_log(r"link up ", 20, mark)
    relay(alice, port)


def test_spawner_dies(start):
    """Workers live on, and a registration waits for the next spawner."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    old = passd.one("spawner")
    os.kill(old, signal.SIGKILL)
    other = bob.register(timeout=10)
    assert new(passd, "spawner", old)
    relay(bob, other)
    stream.stop()
    assert alice.ports() == {port}
    assert alice.close_port(port).ok
    assert tcp.wait_refused(at(port))


def test_control_and_spawner_die(start):
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    old = passd.one("spawner")
    os.kill(old, signal.SIGKILL)
    mark = kill_control(passd)
    passd.wait_log(r"link up ", 20, mark)
    assert new(passd, "spawner", old)
    assert alice.ports() == {port}
    stream.stop()
    relay(alice, alice.register(timeout=10))


@pytest.mark.slow
def test_worker_hangs(start):
    """It is found out, its owner is told, its number is free again."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    port, other = alice.register(), bob.register()
    stream = Stream(*relay(bob, other))
    victim = [pid for pid in passd.kin("worker")
              if daemon.title(pid) == "passd: worker %d" % port][0]
    os.kill(victim, signal.SIGSTOP)
    alice.notice(["close", "proxy"], port, 60)
    passd.wait_log(r"worker port=%d .*hangs" % port)
    assert tcp.wait_refused(at(port), 10)
    assert not daemon.alive(victim)
    stream.stop()


@pytest.mark.slow
def test_control_hangs(start):
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    old, mark = passd.one("control"), passd.mark()
    passd.crashes_expected = True
    os.kill(old, signal.SIGSTOP)
    passd.wait_log(r"control pid=%d hangs" % old, 60, mark)
    passd.wait_log(r"link up ", 20, mark)
    assert alice.ports() == {port}
    stream.stop()


# Another program.

@pytest.fixture
def copied(launch, server, people, tmp_path):
    """A passd whose program can be replaced."""
    os.chmod(tmp_path, 0o755)
    for path in tmp_path.parents:
        if str(path).startswith("/tmp/"):
            os.chmod(path, os.stat(path).st_mode | 0o055)
    passd = launch(server, people, start=False)
    program = tmp_path / "passd"
    shutil.copy(passd.program, program)
    passd.program = str(program)
    passd.start()
    return passd


def test_upgrade(copied):
    """The parent stays the same process; relays and ports stay, all others
    are of the new program."""
    passd = copied
    alice, bob = passd.client("alice"), passd.client("bob")
    port = alice.register(expire=600)
    stream = Stream(*relay(alice, port))
    waits = bob.register()
    before = {role: passd.one(role) for role in ("control", "spawner")}
    program = passd.program
    os.rename(program, program + ".old")
    shutil.copy(program + ".old", program)
    for _ in range(2):
        mark = passd.mark()
        os.kill(passd.process.pid, signal.SIGUSR2)
        passd.wait_log(r"upgraded records=", 20, mark)
        passd.wait_log(r"link up ", 20, mark)
        for role in before:
            before[role] = new(passd, role, before[role])
        assert alice.ports() == {port} and bob.ports() == {waits}
    assert os.readlink("/proc/%d/exe" % passd.process.pid) == program
    stream.stop()
    relay(bob, waits)
    relay(bob, bob.register(timeout=10))
    assert alice.close_port(port).ok
    assert tcp.wait_refused(at(port))


@pytest.mark.parametrize("how", ["program", "configuration"])
def test_upgrade_that_is_refused(copied, how):
    """The old one goes on, and says why it does."""
    passd = copied
    alice = passd.client("alice")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    control, mark = passd.one("control"), passd.mark()
    if how == "program":
        os.unlink(passd.program)
        with open(passd.program, "w") as program:
            program.write("#!/bin/sh\nexit 3\n")
        os.chmod(passd.program, 0o755)
    else:
        passd.conf.write_text("nonsense\n")
    os.kill(passd.process.pid, signal.SIGUSR2)
    passd.wait_log(r"upgrade: .*goes on as it is", 20, mark)
    assert passd.one("control") == control
    assert alice.ports() == {port}
    stream.stop()
    relay(alice, alice.register())


# A configuration that a running control cannot take.

def change(passd, **config):
    """Write it, reload, and wait for the next control."""
    old, mark = passd.one("control"), passd.mark()
    for name, value in config.items():
        setattr(passd.config, name, value)
    passd.write()
    passd.hup()
    new(passd, "control", old)
    return mark


def test_other_ports(start):
    """Old ports stay where they are, new ones come from the new range."""
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    lo, hi = passd.config.ports
    cut = (lo + hi) // 2
    ports = (cut + 1, hi) if port <= cut else (lo, cut)
    mark = change(passd, ports=ports)
    passd.wait_log(r"link up ", 20, mark)
    other = alice.register(timeout=10)
    assert ports[0] <= other <= ports[1]
    assert alice.ports() == {port, other}
    stream.stop()
    assert alice.close_port(port).ok
    assert tcp.wait_refused(at(port))
    relay(alice, other)


def test_other_families_and_leg(start):
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    mark = change(passd, listen=(daemon.V4,), leg="same-port",
                  quota={**passd.config.quota, "pending": "1 per port"})
    passd.wait_log(r"link up ", 20, mark)
    assert len(alice.query().entities("server")) == 1
    stream.stop()


def test_other_server(start):
    """One that is not there, then the right one again."""
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    stream = Stream(*relay(alice, port))
    right = passd.config.server
    mark = change(passd, server="127.0.0.1 port 1")
    passd.wait_log(r"link down ", 20, mark)
    mark = change(passd, server=right)
    passd.wait_log(r"link up ", 20, mark)
    assert alice.ports() == {port}
    stream.stop()
