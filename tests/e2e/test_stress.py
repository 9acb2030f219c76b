# SPDX-License-Identifier: ISC
"""Peers and owners at random, many at once.  Nothing may hang, leak or
reach somebody else; afterwards every port works as on the first day."""

import os
import random
import socket
import threading
import time

import pytest

import tcp
from users import NS_PASSD

SECONDS = 8
PORTS = 4


class Owner(threading.Thread):
    """Answers each request one way or another, sometimes not at all."""

    def __init__(self, client, until, seed):
        super().__init__(daemon=True)
        self.client, self.until = client, until
        self.random = random.Random(seed)
        self.legs = []
        self.relayed = 0
        self.failure = None
        self.start()

    def run(self):
        try:
            while time.monotonic() < self.until:
                try:
                    request = self.client.request(0.2)
                except AssertionError:
                    continue
                getattr(self, self.random.choice((
                    "accept", "accept", "accept", "early", "token",
                    "deny", "nothing", "twice", "vanish")))(request)
        except Exception as failure:
            self.failure = failure

    def dial(self, request):
        try:
            leg = tcp.connect(self.client.daemon.bound(request.proxy))
        except ConnectionError:
            return None         # the peer has given up meanwhile
        return leg

    def talk(self, leg):
        """Echo what comes, in a thread of its own."""
        if leg is not None:
            thread = threading.Thread(target=self.echo, args=(leg,),
                                      daemon=True)
            self.legs.append(thread)
            thread.start()

    def echo(self, leg):
        leg.settimeout(5)
        try:
            while data := leg.recv(65536):
                leg.sendall(data)
            self.relayed += 1
        except OSError:
            pass
        leg.close()

    def accept(self, request):
        request.accept()
        self.talk(self.dial(request))

    def early(self, request):
        leg = self.dial(request)
        request.accept()
        self.talk(leg)

    def token(self, request):
        token = os.urandom(16)
        request.accept("<leg xmlns='%s'>%s</leg>" % (NS_PASSD, token.hex()))
        leg = self.dial(request)
        try:
            if leg is not None:
                leg.sendall(token)
                self.talk(leg)
        except ConnectionError:
            leg.close()

    def deny(self, request):
        request.deny()

    def nothing(self, request):
        pass

    def twice(self, request):
        request.deny()
        request.accept()

    def vanish(self, request):
        """A leg that is gone before it counts."""
        leg = self.dial(request)
        if leg is not None:
            tcp.reset(leg)
        request.accept()


class Peer(threading.Thread):
    """Connects over and over and sends something of its own."""

    def __init__(self, ports, until, seed):
        super().__init__(daemon=True)
        self.ports, self.until = ports, until
        self.random = random.Random(seed)
        self.source = "127.0.1.%d" % (seed % 250 + 1)
        self.echoed = 0
        self.failure = None
        self.start()

    def run(self):
        while time.monotonic() < self.until and self.failure is None:
            try:
                self.once()
            except (OSError, TimeoutError):
                pass            # turned away, denied, reset: all allowed
            except Exception as failure:
                self.failure = failure

    def once(self):
        sock = tcp.connect(("127.0.0.1", self.random.choice(self.ports)),
                           self.source)
        with sock:
            mine = os.urandom(self.random.choice((1, 1000, 300000)))
            kind = self.random.random()
            if kind < 0.1:
                return tcp.reset(sock)
            if kind < 0.2:
                time.sleep(self.random.random() / 5)
                return None
            sender = threading.Thread(target=self.send, args=(sock, mine),
                                      daemon=True)
            sender.start()
            got = b""
            sock.settimeout(4)
            while data := sock.recv(65536):
                got += data
                if got != mine[:len(got)]:
                    raise AssertionError("bytes of somebody else")
            sender.join(5)
            if got == mine:
                self.echoed += 1
        return None

    @staticmethod
    def send(sock, data):
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def descriptors(passd):
    """How many each process has; only root may look."""
    if os.geteuid() != 0:
        return None
    return [len(os.listdir("/proc/%d/fd" % pid))
            for pid in (passd.one("control"), *passd.kin("worker"))]


@pytest.mark.limit(60)
def test_anything_goes(start):
    passd = start(count=600, timeout={"answer": "1s", "connect": "1s"},
                  quota={"sessions": "2 per port, 50 in all"})
    alice = passd.client("alice")
    ports = [alice.register() for _ in range(PORTS)]
    before = descriptors(passd)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    until = time.monotonic() + SECONDS
    owner = Owner(alice, until, seed)
    peers = [Peer(ports, until, seed + n) for n in range(8)]
    for thread in (*peers, owner):
        thread.join(SECONDS + 15)
        assert not thread.is_alive() and thread.failure is None, \
            thread.failure
    for leg in owner.legs:
        leg.join(6)
    assert sum(p.echoed for p in peers) > 20, passd.tail()
    time.sleep(2.5)             # the last questions time out
    alice.user.subscribe(alice.service)
    for port in ports:
        peer = tcp.connect(("127.0.0.1", port))
        request = alice.request()
        request.accept()
        leg = tcp.connect(passd.bound(request.proxy))
        tcp.joined(peer, leg)
        tcp.hang_up(peer, leg)
    assert alice.ports() == set(ports)
    passd.wait_log(r"ended port=%d .*cause=eof" % ports[-1])
    time.sleep(0.3)
    assert descriptors(passd) == before
    # Each session began and ended exactly once, and was paired at most once.
    for event in ("client", "ended"):
        lines = passd.events(event)
        assert len(lines) == len(set(lines)), event
    assert set(passd.events("paired")) <= set(passd.events("client"))
    assert set(passd.events("ended")) >= set(passd.events("client"))
