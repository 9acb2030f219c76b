# SPDX-License-Identifier: ISC
"""passcat forward: a local service for others, and what it lives through."""

import contextlib
import http.server
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import daemon
import passcat as module
import servers
import tcp
from test_passcat import DONE, SERVICE, talk


class Service:
    """A TCP service on loopback: handle(sock, peer) in a thread each."""

    def __init__(self, handle):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.handle = handle
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(sock, peer),
                             daemon=True).start()

    def one(self, sock, peer):
        with sock, contextlib.suppress(OSError):
            sock.settimeout(25)
            self.handle(sock, peer)

    def close(self):
        self.listener.close()


def echo(sock, peer):
    while data := sock.recv(65536):
        sock.sendall(data)


@pytest.fixture
def service():
    made = []

    def service(handle=echo):
        made.append(Service(handle))
        return made[-1]
    yield service
    for one in made:
        one.close()


def stop(running):
    """Ctrl-C: it closes the port and ends."""
    running.signal(signal.SIGINT)
    assert running.wait() == -signal.SIGINT


def test_http_in_parallel(cat, secure):
    """Four sessions at once to one HTTP server, none of them mixed up."""
    barrier = threading.Barrier(4, timeout=20)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            barrier.wait()
            body = (self.path * 20000).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    running, address = cat.forward(web.server_port, "--yes")
    answers = {}

    def get(i):
        answers[i] = talk(address, b"GET /%d HTTP/1.0\r\n\r\n" % i,
                          source="127.0.0.%d" % (10 + i))
    threads = [threading.Thread(target=get, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    web.shutdown()
    web.server_close()
    for i in range(4):
        assert answers[i].partition(b"\r\n\r\n")[2] == b"/%d" % i * 20000
        ended = running.event("ended")
        assert ended["out"] > 40000
    stop(running)
    assert tcp.wait_refused(address)


def test_one_after_the_other(cat, service):
    running, address = cat.forward(service().port, "--yes")
    for i in range(5):
        data = os.urandom(100000 + i)
        assert talk(address, data) == data
        assert running.event("ended")["in"] == len(data)
    stop(running)


def test_oneshot(cat, service):
    running, address = cat.forward(service().port, "--yes", "--oneshot")
    assert talk(address, b"once") == b"once"
    assert running.wait() == DONE
    assert tcp.wait_refused(address)


def test_expire_waits_for_sessions(cat, service):
    running, address = cat.forward(service().port, "--yes", "--expire", "2")
    with contextlib.closing(tcp.connect(address)) as peer:
        running.event("accepted")
        running.event("closed", why="expired")
        peer.settimeout(20)
        peer.sendall(b"still there?")
        assert peer.recv(100) == b"still there?"
    assert running.wait() == DONE


def test_idle(cat, service):
    running, address = cat.forward(service().port, "--yes", "--idle", "1")
    with contextlib.closing(tcp.connect(address)) as peer:
        peer.sendall(b"a")
        peer.settimeout(20)
        assert peer.recv(10) == b"a"
        assert tcp.ending(peer, 20) == "rst"
    assert running.event("ended")["why"] == "idle for too long"
    stop(running)


def test_no_local_service(cat, slot):
    """The peer is refused, the port goes on, and the user is told."""
    port = slot.single()
    running, address = cat.forward(port, "--yes")
    assert tcp.turned_away(address)
    assert running.event("refused")["why"] == "the local service is not there"
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(20)
        with contextlib.closing(tcp.connect(address)) as peer:
            local, _ = listener.accept()
            with local:
                local.sendall(b"now")
                peer.settimeout(20)
                assert peer.recv(10) == b"now"
    stop(running)


def test_reset_is_passed_on(cat, service):
    def abort(sock, peer):
        sock.recv(10)
        tcp.reset(sock)
    running, address = cat.forward(service(abort).port, "--yes")
    with contextlib.closing(tcp.connect(address)) as peer:
        peer.sendall(b"x")
        assert tcp.ending(peer, 20) == "rst"
    stop(running)


def test_proxy_protocol(cat, service):
    """The service learns the peer's address, version 2, before any byte."""
    heard = {}

    def handle(sock, peer):
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
        heard["data"] = data
    running, address = cat.forward(service(handle).port, "--yes",
                                   "--proxy-protocol")
    with contextlib.closing(tcp.connect(address, "127.0.0.9")) as peer:
        source = peer.getsockname()
        peer.sendall(b"payload")
        peer.shutdown(socket.SHUT_WR)
        running.event("ended")
    expected = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" +
                socket.inet_aton(source[0]) + socket.inet_aton(address[0]) +
                source[1].to_bytes(2, "big") + address[1].to_bytes(2, "big"))
    assert heard["data"] == expected + b"payload"
    stop(running)


def test_leaves_the_relay_when_killed(cat, service):
    """A forward that is killed takes its relays with it."""
    running, address = cat.forward(service().port, "--yes")
    with contextlib.closing(tcp.connect(address)) as peer:
        peer.sendall(b"a")
        peer.settimeout(20)
        assert peer.recv(10) == b"a"
        running.process.send_signal(signal.SIGKILL)
        assert tcp.ending(peer, 20) in ("rst", "fin")
    running.process.wait(10)


# The XMPP stream is lost.

@pytest.fixture(scope="module")
def own(secure, workdir, slot):
    """A server with TLS that the tests may restart, and its passd."""
    directory = workdir / ("own-tls-" + secure.name)
    both = module.secure(secure.name, directory, slot, 30)
    yield both
    both.passd.stop()
    both.server.stop()


@pytest.fixture
def restless(own, tmp_path):
    cat = module.Passcat(own.server, own.passd, tmp_path)
    yield cat
    cat.close()


@pytest.mark.limit(90)
def test_server_restarted(restless, own, service):
    """A relay lives through a restart of the XMPP server; afterwards the port,
    or a new one, takes visitors again, and passcat says which."""
    running, address = restless.forward(service().port, "--yes", "-v")
    with contextlib.closing(tcp.connect(address, "127.0.0.5")) as peer:
        peer.settimeout(30)
        peer.sendall(b"before")
        assert peer.recv(10) == b"before"
        own.server.stop()
        running.event("offline")
        peer.sendall(b"while")
        assert peer.recv(10) == b"while"
        since = own.passd.mark()
        own.server.start()
        own.passd.wait_log(r"link up", 40, since)
        running.event("online", 40)
        now = running.event(("kept", "reopened"), 40)
        peer.sendall(b"after")
        assert peer.recv(10) == b"after"
        assert talk((now["host"], now["port"]), b"new") == b"new"
    assert running.event("ended")
    stop(running)


@pytest.mark.limit(90)
def test_stream_cut(restless, own, service):
    """The stream alone is cut: the port stays, a change keeps it ours."""
    proxy = Cutter(own.server.c2s)
    running, address = restless.forward(
        service().port, "--yes", "--host", "127.0.0.1:%d" % proxy.port)
    proxy.cut()
    running.event("offline")
    running.event("online", 40)
    now = running.event("kept", 20)
    assert (now["host"], now["port"]) == address
    assert talk(address, b"hello") == b"hello"
    stop(running)
    proxy.close()
    assert tcp.wait_refused(address)


class Cutter(Service):
    """A relay to a port of loopback whose connections can be cut."""

    def __init__(self, port):
        self.to = port
        self.pairs = []
        super().__init__(self.relay)

    def relay(self, sock, peer):
        with socket.create_connection(("127.0.0.1", self.to)) as other:
            sock.settimeout(None)
            self.pairs += [sock, other]
            one = threading.Thread(target=self.copy, args=(other, sock),
                                   daemon=True)
            one.start()
            self.copy(sock, other)
            one.join()

    @staticmethod
    def copy(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)

    def cut(self):
        for sock in self.pairs:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.pairs = []
