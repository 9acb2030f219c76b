# SPDX-License-Identifier: ISC
"""Incoming connections: asking the owner, and who his leg is
(XEP-0003 3 and 5.2, PROTOCOL rows 3, 4, 16, 17, 18)."""

import os
import socket
import time

import pytest

import tcp
from users import NS_PASS, NS_PASSD

TOKEN = os.urandom(16)
LEG = "<leg xmlns='%s'>%s</leg>" % (NS_PASSD, TOKEN.hex())


def at(port):
    return ("127.0.0.1", port)


def knock(client, port, source=None):
    """A peer connects; return (peer, request, where the leg may go)."""
    peer = tcp.connect(at(port), source)
    request = client.request()
    return peer, request, client.daemon.bound(request.proxy)


def again(client, port):
    """The port goes on: a new peer is asked for and relayed."""
    peer, request, rendezvous = knock(client, port)
    request.accept()
    leg = tcp.connect(rendezvous)
    tcp.joined(peer, leg)
    tcp.hang_up(peer, leg)


@pytest.mark.parametrize("family", [0, 1], ids=["v4", "v6"])
def test_request(service, alice, family):
    """What the owner is asked, and the log line."""
    port = alice.register()
    peer = tcp.connect(service.bound((service.advertise[family], port)))
    request = alice.request()
    assert request.sender == service.jid and request.to == alice.jid
    assert request.names == ["client", "proxy"]
    assert request.peer == peer.getsockname()[:2]
    address, rendezvous = request.proxy
    assert address == service.advertise[0]
    assert rendezvous != port
    lo, hi = service.config.rendezvous
    assert lo <= rendezvous <= hi
    peer_address = peer.getsockname()
    service.wait_log(r"client port=%d jid=%s session=\d+ peer=\S*%s\S*%d "
                     r"rendezvous=%d" % (port, alice.jid, peer_address[0],
                                         peer_address[1], rendezvous))
    request.deny()


def test_ids_cannot_be_guessed(alice):
    port = alice.register()
    ids, ports = [], []
    for _ in range(12):
        peer, request, rendezvous = knock(alice, port)
        ids.append(request.id)
        ports.append(rendezvous[1])
        request.deny()
        tcp.ending(peer)
    assert len(set(ids)) == len(ids)
    assert all(len(i) >= 16 for i in ids), ids
    # Without what all have in common, at least 64 bits are left; and at no
    # place of it does the same character stand all the time.
    prefix = len(os.path.commonprefix(ids))
    assert all(len(i) - prefix >= 11 for i in ids), ids
    columns = list(zip(*(i[prefix:] for i in ids)))
    assert sum(len(set(c)) > 4 for c in columns) >= 11, ids
    assert len(set(ports)) > 8, ports


def test_accept_then_connect(service, alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept()
    time.sleep(0.1)
    leg = tcp.connect(rendezvous)
    tcp.joined(peer, leg)
    assert tcp.wait_refused(rendezvous), "rendezvous accepts once"
    service.wait_log(r"paired port=%d jid=%s session=\d+ peer=\S+ leg=\S+"
                     % (port, alice.jid))


def test_connect_then_accept(service, alice):
    """Row 4a, trap 1: the leg is held, unread, until the result."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    leg = tcp.connect(rendezvous)
    leg.sendall(b"from the owner")
    peer.sendall(b"from the peer")
    assert tcp.is_open(peer) and tcp.is_open(leg)
    request.accept()
    assert tcp.read_exactly(peer, 14) == b"from the owner"
    assert tcp.read_exactly(leg, 13) == b"from the peer"
    tcp.joined(peer, leg)


@pytest.mark.parametrize("inner", [
    "", "<query xmlns='%s'/>" % NS_PASS, "<ok xmlns='urn:example:no'/>",
    "<query xmlns='%s'><proxy port='1'>192.0.2.1</proxy></query>" % NS_PASS])
def test_any_result_accepts(alice, inner):
    """Row 17."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.answer("result", inner)
    tcp.joined(peer, tcp.connect(rendezvous))


def test_leg_of_the_other_family(service, alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept("<client>::1</client>")
    tcp.joined(peer, tcp.connect(("::1", rendezvous[1])))


def test_v6_only(start):
    passd = start(listen=(("::1", "2001:db8::7"),))
    alice = passd.client("alice")
    reply = alice.query()
    assert reply.entities("server")[0][0] == "2001:db8::7"
    port = reply.entities("server")[0][1]
    peer = tcp.connect(("::1", port))
    request = alice.request()
    assert request.peer == peer.getsockname()[:2]
    assert request.proxy[0] == "2001:db8::7"
    request.accept()
    leg = tcp.connect(passd.bound(request.proxy))
    tcp.joined(peer, leg)
    assert alice.close_port(port, "198.51.100.7").error.code == 405
    assert alice.close_port(port, "2001:db8::7").ok


@pytest.mark.parametrize("kind", ["result", "error"])
def test_only_the_asked_jid_answers(service, alice, bob, kind):
    """Rows 16 and 17, trap 3: the right id does not help a stranger."""
    phone = service.client("alice", "phone")
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    for other in (phone, bob):
        request.answer(kind, "", by=other)
    request.answer(kind, "", ident=request.id + "x")
    request.answer(kind, "", ident="1")
    leg = tcp.connect(rendezvous)
    assert tcp.is_open(peer, 0.4) and tcp.is_open(leg)
    peer.sendall(b"nobody reads this yet")
    assert tcp.is_open(leg)
    request.accept()
    assert tcp.read_exactly(leg, 21) == b"nobody reads this yet"


def test_deny(service, alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.deny()
    assert tcp.ending(peer)
    assert tcp.wait_refused(rendezvous)
    service.wait_log(r"ended port=%d .*cause=denied" % port)
    again(alice, port)


@pytest.mark.parametrize("inner", [
    "<error code='401'>Unauthorized</error>",               # Net::Jabber
    "<error code='401'>Unauthorized</error><query xmlns='%s'/>" % NS_PASS,
    "",
    "<error/>",
    "<error type='wait'><internal-server-error xmlns="
    "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    "<query xmlns='%s'><proxy port='x'/></query>" % NS_PASS])
def test_any_error_denies(alice, inner):
    """Row 16, trap 2."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.answer("error", inner)
    assert tcp.ending(peer)
    assert tcp.wait_refused(rendezvous)
    again(alice, port)


def test_deny_drops_an_early_leg(alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    leg = tcp.connect(rendezvous)
    request.deny()
    assert tcp.ending(peer) and tcp.ending(leg)
    again(alice, port)


def test_answer_timeout(service, alice):
    """Row 18: no answer is a no; a late one changes nothing."""
    port = alice.register()
    began = time.monotonic()
    peer, request, rendezvous = knock(alice, port)
    leg = tcp.connect(rendezvous)
    assert tcp.ending(peer, 5) and tcp.ending(leg)
    assert 1.5 < time.monotonic() - began < 3.5
    assert tcp.wait_refused(rendezvous)
    service.wait_log(r"ended port=%d .*cause=answer-timeout" % port)
    request.accept()
    again(alice, port)


def test_connect_timeout(service, alice):
    """Trap 9: accepted, but nobody connects."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept()
    began = time.monotonic()
    assert tcp.ending(peer, 5)
    assert 1.5 < time.monotonic() - began < 3.5
    assert tcp.wait_refused(rendezvous)
    service.wait_log(r"ended port=%d .*cause=connect-timeout" % port)
    again(alice, port)


@pytest.mark.parametrize("end", [socket.socket.close, tcp.reset],
                         ids=["fin", "rst"])
def test_peer_gone_before_the_answer(service, alice, end):
    """Trap 8: no owner's port is left open, a late result is nothing."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    mark = service.mark()
    end(peer)
    if end is tcp.reset:
        service.wait_log(r"ended port=%d .*cause=peer-gone" % port,
                         since=mark)
        assert tcp.wait_refused(rendezvous, 1)
    request.accept()
    if end is tcp.reset:
        time.sleep(0.1)
        assert tcp.refused(rendezvous)
    else:
        assert tcp.wait_refused(rendezvous, 4)
    again(alice, port)


def test_peer_that_only_sends(alice):
    """A FIN before the answer is no leaving: netcat -N does that."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    peer.sendall(b"a whole file")
    peer.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    request.accept()
    leg = tcp.connect(rendezvous)
    assert tcp.read_all(leg) == b"a whole file"
    leg.sendall(b"thanks")
    leg.close()
    assert tcp.read_all(peer) == b"thanks"


def test_peer_that_left_its_bytes(alice):
    """Closed for good before the answer, but nothing is lost."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    blob = os.urandom(100000)
    peer.sendall(blob)
    peer.close()
    time.sleep(0.1)
    request.accept()
    leg = tcp.connect(rendezvous)
    assert tcp.read_all(leg) == blob


# Who is the owner's leg?

def test_pinned_by_client(alice):
    """Row 4, trap 10: with <client/> only that address."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    stranger = tcp.connect(rendezvous, "127.0.0.66")
    leg = tcp.connect(rendezvous, "127.0.0.5")
    leg.sendall(b"mine")
    request.accept("<client>127.0.0.5</client>")
    assert tcp.ending(stranger)
    assert tcp.read_exactly(peer, 4) == b"mine"
    tcp.joined(peer, leg)


def test_pinned_stranger_after_the_result(alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept("<client>127.0.0.5</client>")
    time.sleep(0.1)
    assert tcp.turned_away(rendezvous, "127.0.0.66")
    leg = tcp.connect(rendezvous, "127.0.0.5")
    tcp.joined(peer, leg)


def test_pinned_v4_mapped(alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept("<client>::ffff:127.0.0.5</client>")
    tcp.joined(peer, tcp.connect(rendezvous, "127.0.0.5"))


def test_leg_token(alice):
    """The token comes first on the leg and is not relayed."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept(LEG)
    leg = tcp.connect(rendezvous)
    leg.sendall(TOKEN + b"and data in the same segment")
    assert tcp.read_exactly(peer, 28) == b"and data in the same segment"
    tcp.joined(peer, leg)


def test_leg_token_before_the_result(alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    leg = tcp.connect(rendezvous)
    leg.sendall(TOKEN + b"x")
    time.sleep(0.1)
    request.accept(LEG)
    assert tcp.read_exactly(peer, 1) == b"x"
    tcp.joined(peer, leg)


def test_leg_token_in_pieces(alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept(LEG)
    leg = tcp.connect(rendezvous)
    for byte in TOKEN:
        leg.sendall(bytes([byte]))
        time.sleep(0.01)
    tcp.joined(peer, leg)


def test_leg_token_among_strangers(alice):
    """Strangers before the owner: none has the token."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    mute = tcp.connect(rendezvous)
    wrong = tcp.connect(rendezvous)
    wrong.sendall(os.urandom(16) + b"evil")
    leg = tcp.connect(rendezvous)
    leg.sendall(TOKEN)
    request.accept(LEG)
    assert tcp.ending(wrong)
    tcp.joined(peer, leg)
    assert tcp.ending(mute)


def test_wrong_leg_token_is_no_leg(service, alice):
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept(LEG)
    for wrong in (os.urandom(16), TOKEN[:15] + bytes([TOKEN[15] ^ 1])):
        stranger = tcp.connect(rendezvous)
        stranger.sendall(wrong + b"evil")
        assert tcp.ending(stranger)
    short = tcp.connect(rendezvous)
    short.sendall(TOKEN[:15])
    short.shutdown(socket.SHUT_WR)
    assert tcp.ending(short)
    leg = tcp.connect(rendezvous)
    leg.sendall(TOKEN)
    tcp.joined(peer, leg)


@pytest.mark.parametrize("leg", ["", "zz" * 16, "ab" * 15, "ab" * 17])
def test_malformed_token_opens_to_nobody(alice, leg):
    """A result with a broken <leg/> must not open the port to anyone."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept("<leg xmlns='%s'>%s</leg>" % (NS_PASSD, leg))
    try:
        stranger = tcp.connect(rendezvous)
    except ConnectionError:
        pass
    else:
        assert tcp.ending(stranger, 4)
    assert tcp.ending(peer, 4)
    again(alice, port)


def test_contested(service, alice):
    """Two legs before a bare result: neither can be trusted."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    legs = [tcp.connect(rendezvous, source)
            for source in ("127.0.0.5", "127.0.0.66")]
    time.sleep(0.1)
    request.accept()
    assert tcp.ending(legs[0]) and tcp.ending(legs[1]) and tcp.ending(peer)
    service.wait_log(r"ended port=%d .*cause=contested" % port)
    again(alice, port)


def test_legs_are_bounded(alice):
    """At most four legs are held; the flood costs its own session."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    legs = []
    for _ in range(12):
        try:
            legs.append(tcp.connect(rendezvous))
        except ConnectionError:
            break
    time.sleep(0.2)
    held = [leg for leg in legs if tcp.is_open(leg, 0)]
    assert len(held) <= 4, len(held)
    request.deny()
    assert all(tcp.ending(leg) for leg in legs)
    again(alice, port)


# One after the other, several at once, and too many.

def test_serial(service, alice):
    """Row 8: while a session runs, others get a RST; then it goes on."""
    port = alice.register()
    peer, request, rendezvous = knock(alice, port)
    request.accept()
    leg = tcp.connect(rendezvous)
    tcp.joined(peer, leg)
    for source in ("127.0.0.1", "127.0.0.9"):
        assert tcp.turned_away(at(port), source)
    alice.silent()
    tcp.joined(peer, leg)
    tcp.hang_up(peer, leg)
    service.wait_log(r"ended port=%d .*cause=eof" % port)
    again(alice, port)


def test_pending_one_per_address(alice):
    """Row 8: one stranger cannot take all places."""
    port = alice.register()
    first, request, rendezvous = knock(alice, port, "127.0.0.7")
    assert tcp.turned_away(at(port), "127.0.0.7")
    other, request2, rendezvous2 = knock(alice, port, "127.0.0.8")
    assert request2.id != request.id and rendezvous2 != rendezvous
    request.deny()
    assert tcp.ending(first)
    again(alice, port)
    assert tcp.ending(other)    # dropped when the last session was taken


def test_pending_limit(alice):
    port = alice.register()
    pending = [knock(alice, port, "127.0.0.%d" % n) for n in range(10, 14)]
    assert tcp.turned_away(at(port), "127.0.0.14")
    alice.silent()
    for peer, request, _ in pending:
        request.deny()
        assert tcp.ending(peer)
    again(alice, port)


def test_pairing_drops_the_other_pending(service, alice):
    """Row 8: when the last free session is paired."""
    port = alice.register()
    pending = [knock(alice, port, "127.0.0.%d" % n) for n in range(20, 24)]
    peer, request, rendezvous = pending.pop(2)
    request.accept()
    leg = tcp.connect(rendezvous)
    tcp.joined(peer, leg)
    for loser, late, place in pending:
        assert tcp.ending(loser)
        assert tcp.wait_refused(place)
        late.accept()
    service.wait_log(r"ended port=%d .*cause=busy" % port)
    tcp.joined(peer, leg)


def test_answers_out_of_order(start):
    """Each answer belongs to its own peer."""
    passd = start(quota={"sessions": "4 per port"})
    alice = passd.client("alice")
    port = alice.register()
    pending = [knock(alice, port, "127.0.0.%d" % n) for n in range(30, 34)]
    for index in (2, 0, 3):
        pending[index][1].accept()
    pending[1][1].deny()
    assert tcp.ending(pending[1][0])
    legs = {i: tcp.connect(pending[i][2]) for i in (3, 2, 0)}
    for index, leg in legs.items():
        tcp.joined(pending[index][0], leg, b"session %d" % index)


def test_sessions_per_port(start):
    """sessions 2 per port: two relays, no third; told in <granted/>."""
    passd = start(quota={"sessions": "2 per port"})
    alice = passd.client("alice")
    reply = alice.query()
    assert reply.own("granted").get("sessions") == "2"
    port = reply.entities("server")[0][1]
    pairs = []
    for _ in range(2):
        peer, request, rendezvous = knock(alice, port)
        request.accept()
        pairs.append((peer, tcp.connect(rendezvous)))
        tcp.joined(*pairs[-1])
    assert tcp.turned_away(at(port))
    tcp.hang_up(*pairs[0])
    passd.wait_log(r"ended port=%d .*cause=eof" % port)
    again(alice, port)
    tcp.joined(*pairs[1])


def test_sessions_in_all(start):
    """sessions N in all: over all the ports of a JID."""
    passd = start(quota={"sessions": "2 per port, 3 in all"})
    alice, bob = passd.client("alice"), passd.client("bob")
    ports = [alice.register(), alice.register()]
    pairs = []
    for port in (ports[0], ports[0], ports[1]):
        peer, request, rendezvous = knock(alice, port)
        request.accept()
        pairs.append((peer, tcp.connect(rendezvous)))
        tcp.joined(*pairs[-1])
    assert tcp.turned_away(at(ports[1]))
    again(bob, bob.register())
    tcp.hang_up(*pairs[0])
    passd.wait_log(r"ended port=%d .*cause=eof" % ports[0])
    again(alice, ports[1])


def test_oneshot_counts_one_of_many(start):
    """oneshot with several sessions allowed is still one."""
    passd = start(quota={"sessions": "4 per port"})
    alice = passd.client("alice")
    port = alice.register(oneshot=True)
    first, request, rendezvous = knock(alice, port, "127.0.0.2")
    second, late, place = knock(alice, port, "127.0.0.3")
    request.accept()
    leg = tcp.connect(rendezvous)
    tcp.joined(first, leg)
    alice.notice(["oneshot", "close", "proxy"], port)
    assert tcp.ending(second)
    assert tcp.wait_refused(place) and tcp.wait_refused(at(port))
    late.accept()
    tcp.joined(first, leg)
    alice.silent()


def test_connect_flood(service, alice):
    """Trap 16: many connects from one address, one question."""
    port = alice.register()
    first, request, rendezvous = knock(alice, port)
    assert all(tcp.turned_away(at(port)) for _ in range(300))
    alice.silent()
    request.accept()
    tcp.joined(first, tcp.connect(rendezvous))


def test_flood_of_another_port_costs_nothing(service, alice, bob):
    port, calm = alice.register(), bob.register()
    peer, request, rendezvous = knock(bob, calm)
    flood = [socket.socket() for _ in range(200)]
    for sock in flood:
        sock.setblocking(False)
        sock.connect_ex(at(port))
    request.accept()
    leg = tcp.connect(rendezvous)
    tcp.joined(peer, leg)
    for sock in flood:
        sock.close()
    alice.request()
    alice.silent()


# owner leg same-port

@pytest.fixture
def same(start):
    return start(leg="same-port", quota={"pending": "1 per port"})


def test_same_port(same):
    alice = same.client("alice")
    port = alice.register()
    peer = tcp.connect(at(port), "127.0.0.40")
    request = alice.request()
    assert request.proxy == (same.advertise[0], port)
    request.accept()
    time.sleep(0.1)
    leg = tcp.connect(at(port))
    tcp.joined(peer, leg)
    assert tcp.turned_away(at(port))
    tcp.hang_up(peer, leg)
    same.wait_log(r"ended port=%d .*cause=eof" % port)
    peer = tcp.connect(at(port), "127.0.0.41")
    alice.request().deny()
    assert tcp.ending(peer)


def test_same_port_early_leg(same):
    alice = same.client("alice")
    port = alice.register()
    peer = tcp.connect(at(port), "127.0.0.40")
    request = alice.request()
    leg = tcp.connect(at(port))
    assert tcp.is_open(leg)
    alice.silent(0)
    request.accept()
    tcp.joined(peer, leg)


def test_same_port_token(same):
    alice = same.client("alice")
    port = alice.register()
    peer = tcp.connect(at(port), "127.0.0.40")
    request = alice.request()
    stranger = tcp.connect(at(port), "127.0.0.66")
    leg = tcp.connect(at(port))
    leg.sendall(TOKEN)
    stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
    request.accept(LEG)
    tcp.joined(peer, leg)
    assert tcp.ending(stranger)


def test_same_port_oneshot(same):
    alice = same.client("alice")
    port = alice.register(oneshot=True)
    peer = tcp.connect(at(port), "127.0.0.40")
    alice.request().accept()
    time.sleep(0.1)
    leg = tcp.connect(at(port))
    tcp.joined(peer, leg)
    alice.notice(["oneshot", "close", "proxy"], port)
    assert tcp.wait_refused(at(port))
    tcp.joined(peer, leg)


# The owner is not there.

def leave(client):
    """Log out, and wait until the server knows."""
    client.user.close()
    other = client.daemon.client("bob")
    reply = None
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            reply = other.user.iq(client.jid, "get",
                                  "<ping xmlns='urn:xmpp:ping'/>", 0.5)
        except AssertionError:
            continue            # lost with the session
        if reply.error and reply.error.condition == "service-unavailable":
            return
    raise AssertionError("%s is still there: %r" % (client.jid, reply))


def test_owner_gone(start):
    """Row 7b: the bounce of a request closes his ports after the grace."""
    passd = start()
    tablet = passd.client("alice", "tablet")
    ports = [tablet.register(), tablet.register()]
    home = passd.client("alice")
    stays = home.register()
    leave(tablet)
    peer = tcp.connect(at(ports[0]))
    assert tcp.ending(peer)
    passd.wait_log(r"ended port=%d .*cause=bounced" % ports[0])
    passd.wait_log(r"closed port=%d .*cause=owner-gone" % ports[0], 4)
    assert tcp.wait_refused(at(ports[0]))
    home.silent()
    again(home, stays)


def presence(client, kind=""):
    client.user.send("<presence to='%s'%s/>" % (client.service, kind))


def test_presence_tells_that_the_owner_left(start):
    """Row 7b: after directed presence the service hears of his leaving;
    established relays stay."""
    passd = start()
    tablet = passd.client("alice", "tablet")
    port = tablet.register()
    presence(tablet)
    peer, request, rendezvous = knock(tablet, port)
    request.accept()
    leg = tcp.connect(rendezvous)
    tcp.joined(peer, leg)
    tablet.user.close()
    passd.wait_log(r"closed port=%d .*cause=owner-gone" % port, 4)
    assert tcp.wait_refused(at(port))
    tcp.joined(peer, leg)
    tablet.user.again()
    tablet.silent()


def test_unavailable_while_asked(start):
    """Trap 12."""
    passd = start()
    tablet = passd.client("alice", "tablet")
    port = tablet.register()
    presence(tablet)
    peer, request, rendezvous = knock(tablet, port)
    presence(tablet, " type='unavailable'")
    assert tcp.ending(peer, 4)
    passd.wait_log(r"closed port=%d .*cause=owner-gone" % port, 4)
    assert tcp.wait_refused(at(port)) and tcp.wait_refused(rendezvous)


def test_same_resource_replaced(start):
    """Trap 12: a new session of the same full JID keeps the ports."""
    passd = start(timeout={"owner-gone": "2s"})
    tablet = passd.client("alice", "tablet")
    port = tablet.register()
    presence(tablet)
    old = tablet.user.xmpp
    tablet.user.connect()
    # The server says that the old session has gone, sooner or later.
    passd.wait_log(r"owner missing port=%d " % port, 5)
    presence(tablet)
    assert tablet.ports() == {port}
    time.sleep(2.5)
    again(tablet, port)
    assert old is not tablet.user.xmpp


def test_owner_back_within_the_grace(start):
    passd = start(timeout={"owner-gone": "2s"})
    tablet = passd.client("alice", "tablet")
    port = tablet.register()
    leave(tablet)
    assert tcp.ending(tcp.connect(at(port)))
    passd.wait_log(r"ended port=%d .*cause=bounced" % port)
    tablet.user.again()
    assert tablet.ports() == {port}
    time.sleep(2.5)
    again(tablet, port)


def test_blocked_service_is_not_forever(start):
    """A bounce of type wait fails that request only."""
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    peer, request, _ = knock(alice, port)
    request.answer("error", "<error type='wait'><resource-constraint xmlns="
                   "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
    assert tcp.ending(peer)
    time.sleep(1.5)
    again(alice, port)


def test_session_cut_while_asked(start):
    """Trap 12: the owner loses his connection during the question."""
    passd = start()
    tablet = passd.client("alice", "tablet")
    port = tablet.register()
    peer, request, rendezvous = knock(tablet, port)
    tablet.user.cut()
    assert tcp.ending(peer, 5)
    assert tcp.wait_refused(rendezvous)
    tablet.user.again()
