# SPDX-License-Identifier: ISC
"""The bytes: everything arrives, ends are passed on, limits hold."""

import hashlib
import os
import re
import socket
import threading
import time

import pytest

import tcp


def pair(client, port=None, **options):
    """Register if need be, connect and accept; return (peer, leg)."""
    port = port or client.register()
    peer = tcp.connect(("127.0.0.1", port), **options)
    request = client.request()
    request.accept()
    leg = tcp.connect(client.daemon.bound(request.proxy))
    return peer, leg


@pytest.mark.limit(90)
@pytest.mark.slow
def test_hundred_megabytes_both_ways(service, alice):
    mark = service.mark()
    peer, leg = pair(alice)
    tcp.exchange(peer, leg, 100 * 1000 * 1000)
    service.wait_log(r"ended .*cause=eof in=100000000 out=100000000 "
                     r"seconds=\d+\.\d+", since=mark)


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 3 * 1024 * 1024])
def test_sizes(alice, size):
    tcp.exchange(*pair(alice), size)


def test_early_bytes_of_the_peer(alice):
    """What the peer sent before the pairing is delivered, in order."""
    port = alice.register()
    blob = os.urandom(200000)
    peer = tcp.connect(("127.0.0.1", port))
    sender = threading.Thread(target=peer.sendall, args=(blob,))
    sender.start()
    request = alice.request()
    time.sleep(0.1)
    request.accept()
    leg = tcp.connect(alice.daemon.bound(request.proxy))
    got = tcp.read_exactly(leg, len(blob))
    sender.join()
    assert hashlib.sha256(got).digest() == hashlib.sha256(blob).digest()
    tcp.joined(peer, leg)


@pytest.mark.parametrize("who", [0, 1], ids=["peer", "owner"])
def test_half_close(alice, who):
    """Row 19, trap 14: data goes on in the other direction."""
    pairing = pair(alice)
    first, second = pairing[who], pairing[1 - who]
    first.sendall(b"question")
    first.shutdown(socket.SHUT_WR)
    assert tcp.read_all(second) == b"question"
    for _ in range(3):
        time.sleep(0.2)
        second.sendall(b"answer ")
        assert tcp.read_exactly(first, 7) == b"answer "
    second.shutdown(socket.SHUT_WR)
    assert tcp.read_all(first) == b""


@pytest.mark.parametrize("who", [0, 1], ids=["peer", "owner"])
def test_reset(service, alice, who):
    """Trap 14: a RST is passed on as RST."""
    mark = service.mark()
    pairing = pair(alice)
    tcp.joined(*pairing)
    tcp.reset(pairing[who])
    assert tcp.ending(pairing[1 - who]) == "rst"
    service.wait_log(r"ended .*cause=%s-reset" % ("peer", "owner")[who],
                     since=mark)


def test_reset_in_mid_transfer(service, alice):
    mark = service.mark()
    peer, leg = pair(alice)
    flow = tcp.Flow(peer, 1 << 30)
    for _ in range(20):
        tcp.read_exactly(leg, 100000)
    tcp.reset(leg)
    flow.join(5)
    assert isinstance(flow.error, ConnectionError), flow.error
    service.wait_log(r"ended .*cause=owner-reset", since=mark)


def test_close_with_unread_data(service, alice):
    """Closing a socket that holds data is a RST; the other side learns."""
    mark = service.mark()
    peer, leg = pair(alice)
    peer.sendall(b"x" * 1000)
    time.sleep(0.1)
    leg.close()
    peer.settimeout(5)
    try:
        peer.recv(1)
    except ConnectionResetError:
        pass
    peer.close()
    service.wait_log(r"ended ", since=mark)


def test_slow_reader(service, alice):
    """A reader that stops stops the writer; memory stays bounded."""
    peer, leg = pair(alice, rcvbuf=4096)
    worker = service.one("worker")

    def resident():
        with open("/proc/%d/statm" % worker) as statm:
            return int(statm.read().split()[1]) * 4
    before = resident()
    leg.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += leg.send(b"y" * 65536)
            assert sent < 64 << 20, "nobody stops the writer"
    assert resident() - before < 4096
    peer.settimeout(10)
    assert len(tcp.read_exactly(peer, sent)) == sent
    tcp.joined(peer, leg)


def test_idle_timeout(start):
    passd = start(timeout={"idle": "2s"})
    peer, leg = pair(passd.client("alice"))
    for _ in range(4):
        time.sleep(0.5)
        tcp.joined(peer, leg)   # traffic keeps it alive
    began = time.monotonic()
    assert tcp.ending(peer, 5) and tcp.ending(leg)
    assert 1.5 < time.monotonic() - began < 5
    passd.wait_log(r"ended .*cause=idle")


def test_half_close_timeout(start):
    passd = start(timeout={"half-close": "2s"})
    peer, leg = pair(passd.client("alice"))
    peer.shutdown(socket.SHUT_WR)
    assert tcp.read_all(leg) == b""
    for _ in range(4):
        time.sleep(0.5)
        leg.sendall(b"z")
        assert tcp.read_exactly(peer, 1) == b"z"
    assert tcp.ending(peer, 5)
    passd.wait_log(r"ended .*cause=half-close")


def test_counters(service, alice):
    """in= is from peer to owner, out= from owner to peer."""
    mark = service.mark()
    peer, leg = pair(alice)
    peer.sendall(b"a" * 1234)
    leg.sendall(b"b" * 567)
    peer.shutdown(socket.SHUT_WR)
    leg.shutdown(socket.SHUT_WR)
    assert len(tcp.read_all(leg)) == 1234 and len(tcp.read_all(peer)) == 567
    ended = service.wait_log(r"ended port=\d+ jid=\S+ session=\d+ peer=\S+ "
                             r"cause=eof in=(\d+) out=(\d+) "
                             r"seconds=(\d+\.\d+)", since=mark)
    assert ended.group(1, 2) == ("1234", "567")
    assert float(ended[3]) < 5


@pytest.mark.limit(60)
@pytest.mark.slow
def test_two_hundred_sessions(service, alice):
    """In sequence, on one port, each with its own data."""
    mark = service.mark()
    port = alice.register()
    for number in range(200):
        peer, leg = pair(alice, port)
        tcp.joined(peer, leg, b"session %d" % number)
        (peer, leg)[number % 2].close()
        assert tcp.ending((leg, peer)[number % 2]) == "fin"
        (leg, peer)[number % 2].close()
        wait_ended(service, port, number + 1, mark)
    numbers = re.findall(r"ended port=%d .*session=(\d+) " % port,
                         service.text()[mark:])
    assert len(numbers) == len(set(numbers)) == 200


def wait_ended(service, port, count, mark):
    """Wait until that many sessions of the port have ended."""
    end = time.monotonic() + 5
    while service.logged(r"ended port=%d " % port, mark) < count:
        assert time.monotonic() < end, service.tail()
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.limit(60)
def test_many_relays_at_once(start):
    """Thirty ports, thirty relays, all busy."""
    passd = start(count=90, quota={
        "ports": "40", "sessions": "1 per port, 40 in all"})
    alice = passd.client("alice")
    pairs = [pair(alice) for _ in range(30)]
    threads = [threading.Thread(target=tcp.exchange, args=(*p, 1 << 20))
               for p in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for number in range(30):
        passd.wait_log(r"(?s)(ended .*?cause=eof in=1048576 out=1048576"
                       r".*?){%d}" % (number + 1))
