# SPDX-License-Identifier: ISC
"""A second XMPP library, libstrophe, alone and together with slixmpp."""

import hashlib
import os
import socket

import pytest

import daemon
import servers
import strophe
import tcp


@pytest.fixture(scope="module")
def program(workdir):
    return strophe.program(workdir)


@pytest.fixture
def passd(start):
    """A passd whose addresses a client may dial as it gets them."""
    return start(listen=daemon.PLAIN)


@pytest.fixture
def peers(passd, program, server):
    """peers(name): a strophe_peer logged in under that name."""
    running = []

    def peer(name, resource="strophe"):
        running.append(strophe.StrophePeer(
            program, server, "%s@%s/%s" % (name, servers.DOMAIN, resource),
            servers.PASSWORD, passd.jid))
        return running[-1]
    yield peer
    for one in running:
        one.close()


@pytest.fixture
def owner(peers):
    return peers("alice")


def blob(directory, name, size):
    path = directory / name
    path.write_bytes(os.urandom(size))
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size_in, size_out", [
    (0, 1 << 20), (5000003, 0), (3000000, 4000000)])
def test_relay(owner, tmp_path, size_in, size_out):
    """A file each way at once, equal sums."""
    port, address = owner.register("expire", 600)
    assert address == "127.0.0.1"
    peer = tcp.connect((address, port))
    host, source, proxy, rendezvous = owner.expect("request")
    assert (host, int(source)) == peer.getsockname()
    assert (proxy, int(rendezvous)) != (address, port)
    outgoing = blob(tmp_path, "out", size_out)
    incoming = blob(tmp_path, "in", size_in)
    received = tmp_path / "received"
    owner.say("accept", outgoing, received)
    drain = tcp.Drain(peer)
    peer.sendall(incoming.read_bytes())
    peer.shutdown(socket.SHUT_WR)
    assert owner.expect("relayed") == [str(size_out), str(size_in)]
    drain.join(10)
    assert drain.digest.hexdigest() == digest(outgoing)
    assert digest(received) == digest(incoming)


def test_serial_sessions(owner, tmp_path):
    port, address = owner.register()
    outgoing = blob(tmp_path, "out", 1000)
    for number in range(5):
        peer = tcp.connect((address, port))
        owner.expect("request")
        owner.say("accept", outgoing, tmp_path / ("got%d" % number))
        peer.shutdown(socket.SHUT_WR)
        assert tcp.read_all(peer) == outgoing.read_bytes()
        owner.expect("relayed")


def test_deny(owner):
    port, address = owner.register()
    for _ in range(2):
        peer = tcp.connect((address, port))
        owner.expect("request")
        owner.say("deny")
        owner.expect("denied")
        assert tcp.ending(peer)


def test_oneshot(owner, tmp_path):
    port, address = owner.register("oneshot")
    outgoing = blob(tmp_path, "out", 100000)
    peer = tcp.connect((address, port))
    owner.expect("request")
    owner.say("accept", outgoing, tmp_path / "got")
    assert owner.expect("notice") == [
        "oneshot", "close", "proxy", str(port), address]
    assert tcp.wait_refused((address, port))
    peer.shutdown(socket.SHUT_WR)
    assert tcp.read_all(peer) == outgoing.read_bytes()
    owner.expect("relayed")
    owner.silent()


def test_expire(owner):
    port, address = owner.register("expire", 1)
    assert owner.expect("notice") == [
        "expire", "close", "proxy", str(port), address]
    owner.silent()


def test_close_and_its_errors(owner, peers, passd):
    """400, 401, 404, 405 as this library sees them."""
    port, address = owner.register()
    other = peers("bob")
    theirs, _ = other.register()
    for words, error in (
            ([], ["400", "modify", "bad-request"]),
            (["0", address], ["400", "modify", "bad-request"]),
            ([theirs, address], ["401", "auth", "not-authorized"]),
            ([passd.config.rendezvous[1], address],
             ["404", "cancel", "item-not-found"]),
            ([port, "192.0.2.1"], ["405", "cancel", "not-allowed"])):
        owner.say("close", *words)
        assert owner.expect("error") == error
    owner.say("close", port, address)
    owner.expect("closed")
    assert tcp.wait_refused((address, port))
    assert not tcp.refused((address, theirs))


def test_limits(owner, peers, passd):
    for _ in range(int(passd.config.quota["ports"])):
        owner.register()
    owner.say("register")
    assert owner.expect("error") == ["500", "wait", "resource-constraint"]
    mallory = peers("mallory")
    mallory.say("register")
    assert mallory.expect("error") == ["403", "auth", "forbidden"]


def test_both_libraries(owner, passd, tmp_path):
    """The owner of one port is the peer of the other's."""
    slix = passd.client("bob")
    port, address = owner.register()
    theirs = slix.register()
    outgoing = blob(tmp_path, "out", 2000000)
    # A cable from one port to the other: bob's leg is alice's peer.
    peer = tcp.connect((address, theirs))
    request = slix.request()
    request.accept()
    leg = tcp.connect(request.proxy)
    tcp.joined(peer, leg)
    peer2 = tcp.connect((address, port))
    owner.expect("request")
    owner.say("accept", outgoing, tmp_path / "got")
    drain = tcp.Drain(leg)
    peer2.shutdown(socket.SHUT_WR)
    for_sum = hashlib.sha256()
    while data := peer2.recv(65536):
        for_sum.update(data)
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    drain.join(10)
    owner.expect("relayed")
    assert drain.digest.hexdigest() == for_sum.hexdigest() == digest(outgoing)
