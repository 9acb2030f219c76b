# SPDX-License-Identifier: ISC
"""Peers and owners' legs: plain blocking sockets with time limits."""

import contextlib
import hashlib
import os
import select
import socket
import struct
import tempfile
import threading
import time

LIMIT = 10              # seconds; no test waits longer for one call


def connect(address, source=None, timeout=LIMIT, rcvbuf=None):
    """Connect to (ip, port), from a source address if given."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            sock.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            sock.bind((source, 0))
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def refused(address):
    """Is the connection refused (nobody listens)?"""
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass            # it was in the queue when the listener was closed
    return False


def wait_refused(address, timeout=3):
    """Wait until nobody listens there; return whether that came true."""
    end = time.monotonic() + timeout
    while not refused(address):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def ending(sock, timeout=LIMIT):
    """Wait for the end of a stream without data: "fin" or "rst"."""
    sock.settimeout(timeout)
    try:
        data = sock.recv(1)
    except ConnectionResetError:
        return "rst"
    except TimeoutError:
        raise AssertionError("the connection is still open") from None
    assert data == b"", "unexpected data: %r" % data
    return "fin"


def turned_away(address, source=None):
    """Connect; is the connection reset, at once or after a moment?"""
    try:
        sock = connect(address, source)
    except ConnectionResetError:
        return True
    return ending(sock) == "rst"


def hang_up(one, other):
    """Close a connection and see the other end; close that, too."""
    one.close()
    assert ending(other) == "fin"
    other.close()


def is_open(sock, seconds=0.2):
    """Does nothing happen on the connection for a while?"""
    return not select.select([sock], [], [], seconds)[0]


def reset(sock):
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


class EndOfStream(AssertionError):
    """A FIN that came too early."""


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EndOfStream("end of stream after %d of %d bytes" % (
                len(data), count))
        data += piece
    return data


def read_all(sock, timeout=LIMIT):
    """Read up to the FIN."""
    sock.settimeout(timeout)
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def joined(one, other, text=b"ping"):
    """Check that two connections are relayed to each other, both ways."""
    for source, sink in ((one, other), (other, one)):
        source.sendall(text)
        sink.settimeout(LIMIT)
        got = read_exactly(sink, len(text))
        assert got == text, got


class Flow(threading.Thread):
    """Send a number of random bytes, half-close, and count a hash."""

    BLOCK = os.urandom(1 << 20)

    def __init__(self, sock, total):
        super().__init__(daemon=True)
        self.sock, self.total = sock, total
        self.digest = hashlib.sha256()
        self.error = None
        self.start()

    def run(self):
        left, turn = self.total, 0
        view = memoryview(self.BLOCK)
        try:
            while left:
                turn = (turn + 4097) % 65536    # not the same block again
                piece = view[turn:turn + min(left, 900001)]
                self.sock.sendall(piece)
                self.digest.update(piece)
                left -= len(piece)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = error


class Drain(threading.Thread):
    """Read up to the FIN and count bytes and a hash."""

    def __init__(self, sock, pause=0):
        super().__init__(daemon=True)
        self.sock, self.pause = sock, pause
        self.digest = hashlib.sha256()
        self.total = 0
        self.error = None
        self.start()

    def run(self):
        buffer = bytearray(1 << 18)
        view = memoryview(buffer)
        try:
            while count := self.sock.recv_into(buffer):
                self.digest.update(view[:count])
                self.total += count
                if self.pause:
                    time.sleep(self.pause)
        except OSError as error:
            self.error = error


def exchange(one, other, total, timeout=60):
    """Send total bytes both ways at once and compare the hashes."""
    for sock in (one, other):
        sock.settimeout(timeout)
    flows = [Flow(one, total), Flow(other, total)]
    drains = [Drain(other), Drain(one)]
    for thread in flows + drains:
        thread.join(timeout)
        assert not thread.is_alive() and thread.error is None, thread.error
    for flow, drain in zip(flows, drains):
        assert drain.total == total
        assert flow.digest.digest() == drain.digest.digest()


@contextlib.contextmanager
def unix_proxy(port, path=None, late=False):
    """A UNIX socket in front of a TCP port of loopback; yields its path.
    With late only the path is made, for another call to listen on."""
    directory = None
    if path is None:
        directory = tempfile.mkdtemp(prefix="passd-")
        os.chmod(directory, 0o755)
        path = directory + "/socket"
    listener = socket.socket(socket.AF_UNIX)
    if not late:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen()
        threading.Thread(target=forward_all, args=(listener, port),
                         daemon=True).start()
    try:
        yield path
    finally:
        if not late:
            listener.shutdown(socket.SHUT_RDWR)
            os.unlink(path)
        listener.close()
        if directory:
            os.rmdir(directory)


def forward_all(listener, port):
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = connect(("127.0.0.1", port))
        for pair in ((near, far), (far, near)):
            threading.Thread(target=forward, args=pair, daemon=True).start()


def forward(source, sink):
    source.settimeout(None)
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for sock in (source, sink):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
