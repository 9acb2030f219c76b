# SPDX-License-Identifier: ISC
"""What runs out: descriptors, processes, ports, memory, pipes, the log.
Each lack is made for real; it is refused with the right error, nobody else's
relay notices, and all works again without a restart."""

import contextlib
import fcntl
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import daemon
import fakeserver
import tcp
from users import NS_PASS

ROOT = os.geteuid() == 0
LACK = r" warn lack of=%s times="


@pytest.fixture
def service(fake, launch):
    """A passd of the test's own; nothing here needs a real server."""
    return launch(fake, fake.people, quota={
        "ports": "12", "sessions": "2 per port, 50 in all"},
        timeout={"answer": "20s", "connect": "20s"})


@contextlib.contextmanager
def limited(pid, kind, soft):
    """A process has a lower soft limit (of prlimit(1)) for a while."""
    # As its own user: root in a container may not have CAP_SYS_RESOURCE.
    user = [] if not ROOT else ["setpriv", "--clear-groups",
                                "--reuid", daemon.status(pid, "Uid")[0],
                                "--regid", daemon.status(pid, "Gid")[0]]
    tool = [*user, "prlimit", "--pid", str(pid)]
    old = subprocess.run([*tool, "--raw", "--noheadings", "--output=SOFT",
                          "--" + kind], check=True, text=True, timeout=10,
                         capture_output=True).stdout.strip()
    subprocess.run([*tool, "--%s=%d:" % (kind, soft)], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run([*tool, "--%s=%s:" % (kind, old)], check=True,
                       timeout=10)


def sanitized(passd):
    return "sanitizers=no" not in passd.run("-V").stdout


def used(pid):
    """Numbers of the descriptors of a process; only root may look."""
    return {int(fd) for fd in os.listdir("/proc/%d/fd" % pid)}


def lowest_free(pid):
    """The limit at which a process gets no descriptor more."""
    have = used(pid)
    return next(fd for fd in range(len(have) + 1) if fd not in have)


def pair(client, port, source=None):
    peer = tcp.connect(("127.0.0.1", port), source)
    request = client.request()
    request.accept()
    leg = tcp.connect(client.daemon.bound(request.proxy))
    tcp.joined(peer, leg)
    return peer, leg


def relay(client):
    port = client.register()
    return port, *pair(client, port)


def works(client):
    """Everything, once more."""
    port, peer, leg = relay(client)
    tcp.exchange(peer, leg, 1 << 20)
    assert client.close_port(port).ok


def recovers(client, timeout=10):
    """A registration works again; how soon is not of interest."""
    end = time.monotonic() + timeout
    while not (reply := client.query()).ok:
        assert time.monotonic() < end, reply
        time.sleep(0.1)
    assert client.close_port(reply.entities("server")[0][1]).ok


def one_line(passd, what, since):
    """A lack that was met many times makes one line."""
    passd.wait_log(LACK % what, since=since)
    assert passd.logged(LACK % what, since) == 1


# Descriptors.

@pytest.mark.skipif(not ROOT, reason="only root sees descriptors")
def test_control_has_few_descriptors(service, fake):
    """Registrations get 502 while the reserve is untouched: peers of the
    ports that are there are served, and the link comes back."""
    alice, bob = service.client("alice"), service.client("bob")
    port, peer, leg = relay(alice)
    control = service.one("control")
    mark = service.mark()
    with limited(control, "nofile", lowest_free(control) + 14):
        for _ in range(20):
            assert bob.query().error.same(502, "wait", "service-unavailable")
        one_line(service, "descriptors", mark)
        other = pair(alice, port, "127.0.0.2")
        fake.up.clear()
        fake.stream.close()
        assert fake.up.wait(15)
        assert bob.query().error.code == 502
        tcp.joined(peer, leg)
        tcp.joined(*other)
    assert service.one("control") == control
    recovers(bob)
    works(bob)
    tcp.hang_up(peer, leg)
    assert alice.ports() == {port}


@pytest.mark.skipif(not ROOT, reason="only root sees descriptors")
def test_control_has_no_descriptors(service):
    """Not even for a rendezvous port: that peer is sent away, in words of
    the log once a minute, and the port is there afterwards."""
    alice = service.client("alice")
    port, peer, leg = relay(alice)
    control = service.one("control")
    mark = service.mark()
    with limited(control, "nofile", lowest_free(control)):
        for n in range(2, 8):
            assert tcp.turned_away(("127.0.0.1", port), "127.0.0.%d" % n)
        assert alice.query().error.code == 502
        tcp.joined(peer, leg)
        one_line(service, "descriptors", mark)
    assert service.one("control") == control
    pair(alice, port, "127.0.0.2")
    works(alice)


@pytest.mark.skipif(not ROOT, reason="only root sees descriptors")
def test_worker_has_few_descriptors(service):
    """Its listener pauses: who comes waits, and is served later.  Whoever
    was in has a relay, and so have those of other ports."""
    alice = service.client("alice")
    port, peer, leg = relay(alice)
    worker = service.one("worker")
    other = relay(alice)
    mark = service.mark()
    with limited(worker, "nofile", lowest_free(worker)):
        late = tcp.connect(("127.0.0.1", port), "127.0.0.2")
        service.wait_log(LACK % "room-in-workers", since=mark)
        alice.silent(1.2)
        assert tcp.is_open(late)
        tcp.exchange(peer, leg, 1 << 20)
        tcp.exchange(*other[1:], 1 << 20)
        assert service.logged(LACK % "room-in-workers", mark) == 1
    request = alice.request(10)
    request.accept()
    leg = tcp.connect(service.bound(request.proxy))
    tcp.joined(late, leg)
    assert alice.ports() == {port, other[0]}


@pytest.mark.skipif(not ROOT, reason="only root sees descriptors")
def test_worker_keeps_room_for_the_owner(service):
    """The first stranger takes the last descriptor that is for strangers;
    the owner's connection takes one of those that are not."""
    alice = service.client("alice")
    port = alice.register()
    worker = service.one("worker")
    with limited(worker, "nofile", lowest_free(worker) + 5):
        peer = tcp.connect(("127.0.0.1", port), "127.0.0.2")
        request = alice.request()
        late = tcp.connect(("127.0.0.1", port), "127.0.0.3")
        alice.silent(0.5)
        request.accept()
        leg = tcp.connect(service.bound(request.proxy))
        tcp.joined(peer, leg)
        alice.silent(0.5)
        tcp.hang_up(peer, leg)
        request = alice.request(10)
        request.accept()
        leg = tcp.connect(service.bound(request.proxy))
        tcp.joined(late, leg)


@pytest.mark.skipif(not ROOT, reason="only root sees descriptors")
def test_spawner_has_no_descriptors(service):
    """It cannot take the new port's: that registration fails, it lives."""
    alice = service.client("alice")
    port, peer, leg = relay(alice)
    spawner = service.one("spawner")
    mark = service.mark()
    with limited(spawner, "nofile", lowest_free(spawner)):
        for _ in range(10):
            assert alice.query(timeout=10).error.same(
                500, "wait", "internal-server-error")
        one_line(service, "descriptors", mark)
        tcp.joined(peer, leg)
    assert service.one("spawner") == spawner
    recovers(alice)
    works(alice)


# Processes.

def test_no_process_more(service):
    """RLIMIT_NPROC of the workers' user."""
    alice = service.client("alice")
    port, peer, leg = relay(alice)
    spawner = service.one("spawner")
    mark = service.mark()
    with limited(spawner, "nproc", 0):
        for _ in range(10):
            assert alice.query(timeout=10).error.same(
                500, "wait", "internal-server-error")
        one_line(service, "processes", mark)
        tcp.joined(peer, leg)
        assert alice.ports() == {port}
    assert service.one("spawner") == spawner
    recovers(alice)
    works(alice)


# Ports.

def test_two_ports(fake, launch):
    """A range of two: both go, the third request gets 502."""
    passd = launch(fake, fake.people, start=False, count=9)
    lo, _ = passd.config.ports
    passd.config.ports = (lo, lo + 1)
    fake.up.clear()
    passd.start()
    alice, bob = passd.client("alice"), passd.client("bob")
    port, peer, leg = relay(alice)
    other = bob.register()
    assert {port, other} == {lo, lo + 1}
    mark = passd.mark()
    for _ in range(20):
        reply = bob.query()
        assert reply.error.same(502, "wait", "service-unavailable")
        assert "no-ports" in reply.error.own.tag
    one_line(passd, "ports", mark)
    tcp.joined(peer, leg)
    assert alice.ports() == {port} and bob.ports() == {other}


def test_ports_held_by_others(fake, launch):
    """Somebody else has one, then all: the rest is used, then 502; nothing
    of passd's is touched."""
    passd = launch(fake, fake.people, start=False, count=9)
    lo, _ = passd.config.ports
    passd.config.ports = (lo, lo + 1)
    fake.up.clear()
    passd.start()
    alice = passd.client("alice")
    with socket.create_server(("127.0.0.1", lo)):
        port, peer, leg = relay(alice)
        assert port == lo + 1
        assert alice.query().error.code == 502
        tcp.joined(peer, leg)


def test_one_rendezvous_port(fake, launch):
    """While it is in use the next peer is sent away, then it works again."""
    passd = launch(fake, fake.people, start=False, count=9,
                   quota={"sessions": "4 per port"})
    lo, _ = passd.config.rendezvous
    passd.config.rendezvous = (lo, lo)
    fake.up.clear()
    passd.start()
    alice = passd.client("alice")
    port = alice.register()
    peer = tcp.connect(("127.0.0.1", port))
    request = alice.request()
    mark = passd.mark()
    for n in range(2, 8):
        assert tcp.turned_away(("127.0.0.1", port), "127.0.0.%d" % n)
    one_line(passd, "rendezvous-ports", mark)
    request.accept()
    leg = tcp.connect(passd.bound(request.proxy))
    tcp.joined(peer, leg)
    pair(alice, port, "127.0.0.2")
    tcp.joined(peer, leg)


# Memory.

def test_control_has_no_memory(service, fake):
    """Large requests without a page to put them in: some are lost, or the
    link is, but control goes on, and the relays do not notice."""
    if sanitized(service):
        pytest.skip("a sanitizer ends the process when memory is short")
    alice = service.client("alice")
    port, peer, leg = relay(alice)
    control = service.one("control")
    size = int(Path("/proc/%d/statm" % control).read_text().split()[0])
    with limited(control, "as",
                 size * resource.getpagesize()):
        for n in range(60):
            alice.user.send("<iq type='set' id='m%d' to='%s'><query xmlns='%s'>"
                            "%s</query></iq>" % (
                                n, service.jid, NS_PASS,
                                "<x y='%s'/>" % ("z" * 900) * 60))
        tcp.joined(peer, leg, b"x" * 60000)
        time.sleep(0.5)
    end = time.monotonic() + 20
    while True:
        try:
            reply = alice.query(kind="get", timeout=4)
            assert {p for _, p in reply.entities("server")} == {port}
            break
        except AssertionError:
            assert time.monotonic() < end, service.tail()
    assert service.one("control") == control
    tcp.joined(peer, leg)
    works(alice)


# Pipes.

HOARD = """
import fcntl, os, sys
kept = []
while True:
    r, w = os.pipe()
    kept += [r, w]
    if fcntl.fcntl(w, fcntl.F_GETPIPE_SZ) < 65536:
        break
print("full", flush=True)
sys.stdin.read()
"""


def pipes(pid):
    return sum(os.readlink(link).startswith("pipe:")
               for link in Path("/proc/%d/fd" % pid).iterdir())


def stalled(service, client, port):
    """A bulk to a reader that stops: does the worker hold a pipe for it?"""
    peer = tcp.connect(("127.0.0.1", port), "127.0.0.2")
    request = client.request()
    request.accept()
    leg = tcp.connect(service.bound(request.proxy), rcvbuf=65536)
    flow = tcp.Flow(peer, 24 << 20)
    time.sleep(1)               # sockets fill up
    held = pipes(service.one("worker"))
    drain = tcp.Drain(leg)
    for thread in (flow, drain):
        thread.join(30)
        assert not thread.is_alive() and thread.error is None, thread.error
    assert drain.digest.digest() == flow.digest.digest()
    leg.close()
    peer.close()
    return held


@pytest.mark.skipif(not ROOT, reason="only root becomes another user")
@pytest.mark.limit(60)
def test_pipe_budget(service):
    """All pipes of the workers' user are in use: bulk is copied, correctly;
    when there are pipes again they are used again."""
    if "relay=splice" not in service.run("-V").stdout:
        pytest.skip("built without pipes")
    alice = service.client("alice")
    port = alice.register()
    # Many small ones: as many as it takes to have none of a useful size.
    with subprocess.Popen(
            ["prlimit", "--nofile=8192:8192", "setpriv", "--reuid=daemon",
             "--clear-groups", sys.executable, "-c", HOARD], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hoard:
        assert hoard.stdout.readline() == "full\n"
        assert stalled(service, alice, port) == 0
        hoard.stdin.close()
        hoard.wait(10)
    time.sleep(1.1)             # it asks once a second
    assert stalled(service, alice, port) >= 2


# The log.

def begin(passd, stderr):
    """Start passd with another standard error, which nobody reads."""
    passd.write()
    passd.process = subprocess.Popen(
        passd.argv("-d"), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=stderr, cwd=passd.dir)
    daemon.Passd.running.add(passd.process.pid)


def test_disk_full(fake, launch):
    """Every line is lost; nothing else is."""
    passd = launch(fake, fake.people, start=False)
    fake.up.clear()
    with open("/dev/full", "wb") as full:
        begin(passd, full)
    assert fake.up.wait(10)
    works(passd.client("alice"))


def test_nobody_reads_the_log(fake, launch):
    """A pipe that is full holds nobody up, and its reader is told."""
    passd = launch(fake, fake.people, start=False)
    fake.up.clear()
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    begin(passd, writer)
    os.close(writer)
    assert fake.up.wait(10)
    alice = passd.client("alice")
    for _ in range(100):
        alice.close_port(1)     # a line each
    works(alice)
    # The parent is not held up, either.
    worker = alice.register()
    passd.crashes_expected = True
    spawner = passd.one("spawner")
    os.kill(spawner, 9)
    end = time.monotonic() + 10
    while not (found := passd.kin("spawner")) or found == [spawner]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert alice.ports() == {worker}
    os.set_blocking(reader, False)
    text = b""
    end = time.monotonic() + 10
    while b"log lost=" not in text:
        assert time.monotonic() < end, text[-500:]
        alice.close_port(1)
        with contextlib.suppress(BlockingIOError):
            text += os.read(reader, 65536)
    os.close(reader)


# The XMPP server.

def test_server_does_not_read(fake, launch):
    """Control's queue to it is bounded; errors go first, then answers, and
    a notice is delivered when it reads again."""
    fake.manual = True
    passd = launch(fake, fake.people, up=False)
    stream = fake.accept()
    stream.login()
    passd.wait_log(r"link up ")
    fake.use(stream)
    alice = passd.client("alice")
    port = alice.register(expire=4)
    _, peer, leg = relay(alice)
    mark = passd.mark()
    with stream.deaf():
        asked = 0
        block = "".join(
            "<iq type='get' id='e%d' from='bob@example.test/x' to='%s'>"
            "<x xmlns='urn:none'/></iq>" % (n, fakeserver.COMPONENT)
            for n in range(1000))
        while not passd.logged(LACK % "output", mark):
            assert asked < 300, passd.tail()
            stream.send(block)
            asked += 1
        passd.wait_log(r"closed port=%d .*cause=expired" % port, 15)
        tcp.joined(peer, leg)
        memory = int(Path("/proc/%d/statm" % passd.one("control"))
                     .read_text().split()[1]) * resource.getpagesize()
        assert sanitized(passd) or memory < 100 << 20, memory
    alice.notice(["expire", "close", "proxy"], port, 30)
    assert not stream.ended.is_set()
    assert passd.logged(LACK % "output", mark) == 1
    # Nothing of what was said is torn: all of it is XML.
    assert fake.strays.qsize() > 1000
    works(alice)
