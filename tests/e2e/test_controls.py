# SPDX-License-Identifier: ISC
"""close, changes, expire, oneshot and their notifications (XEP-0003 4)."""

import time

import pytest

import tcp

EXPIRED = ["expire", "close", "proxy"]
ONESHOT = ["oneshot", "close", "proxy"]
BAD_PORTS = ["port='0'", "port='65536'", "port='-1'", "port='+%d'", "port=''",
             "port='abc'", "port='%d '", "port=' %d'", "port='0x%x'", "",
             "port='99999999999'"]


def peer_of(service, port):
    return ("127.0.0.1", port)


def pair(client, port, source=None):
    """Connect a peer and accept it; return (peer, leg)."""
    peer = tcp.connect(("127.0.0.1", port), source)
    request = client.request()
    request.accept()
    leg = tcp.connect(client.daemon.bound(request.proxy))
    tcp.joined(peer, leg)
    return peer, leg


def test_close(service, alice):
    port = alice.register()
    peer = tcp.connect(peer_of(service, port))
    alice.request()
    reply = alice.close_port(port)
    assert reply.ok
    assert [c.tag for c in reply.children] in (
        [], ["{jabber:iq:pass}query"])
    assert tcp.ending(peer)
    assert tcp.wait_refused(peer_of(service, port))
    assert alice.ports() == set()
    alice.silent()              # no notification to who closed it
    service.wait_log(r"closed port=%d jid=%s cause=closed"
                     % (port, alice.jid))


@pytest.mark.parametrize("address", [
    "198.51.100.7", "::ffff:198.51.100.7", "::FFFF:c633:6407",
    "2001:db8::7", "2001:0DB8:0:0::0007", " 198.51.100.7\n",
    "pass.example.test"])
def test_close_compares_addresses_not_text(alice, address):
    """Rows 15 and 21, trap 7."""
    port = alice.register()
    assert alice.close_port(port, address).ok


def test_close_without_proxy(alice):
    port = alice.register()
    assert alice.query("<close/>").error.same(400, "modify", "bad-request")
    assert alice.ports() == {port}


@pytest.mark.parametrize("attribute", BAD_PORTS)
@pytest.mark.parametrize("control", ["<close/>", "<expire>9</expire>"])
def test_bad_port(alice, control, attribute):
    """Row 2, trap 6; and 400 comes before 405."""
    port = alice.register()
    if "%" in attribute:
        attribute %= port
    for address in ("198.51.100.7", "192.0.2.1"):
        reply = alice.query("%s<proxy %s>%s</proxy>" % (
            control, attribute, address))
        assert reply.error.same(400, "modify", "bad-request"), reply
    assert alice.ports() == {port}


@pytest.mark.parametrize("address", [
    "192.0.2.1", "127.0.0.1", "2001:db8::8", "::1", "::ffff:192.0.2.1",
    "relay.example.test"])
@pytest.mark.parametrize("control", ["<close/>", "<oneshot/>"])
def test_wrong_address(service, alice, bob, control, address):
    """Row 14: 405 comes before 404 and 401."""
    mine, other = alice.register(), bob.register()
    unused = service.config.rendezvous[1]
    for port in (mine, other, unused):
        reply = alice.query(control + alice.proxy_xml(port, address))
        assert reply.error.same(405, "cancel", "not-allowed"), reply
    assert alice.ports() == {mine} and bob.ports() == {other}


@pytest.mark.parametrize("address", ["not an address", "[2001:db8::7]",
                                     "fe80::1%lo", "198.51.100.7:80", ""])
def test_odd_address(alice, address):
    """Row 21: whatever it is, it is not ours."""
    port = alice.register()
    reply = alice.query("<close/><proxy port='%d'>%s</proxy>" % (
        port, address))
    assert reply.error.code in (400, 405), reply
    assert alice.ports() == {port}


@pytest.mark.parametrize("control", ["<close/>", "<expire>9</expire>"])
def test_unknown_port(service, alice, control):
    for port in (1, 65535, service.config.ports[0] - 1):
        reply = alice.query(control + alice.proxy_xml(port))
        assert reply.error.same(404, "cancel", "item-not-found"), reply


def test_closed_port_is_unknown(alice):
    port = alice.register()
    assert alice.close_port(port).ok
    assert alice.close_port(port).error.code == 404


@pytest.mark.parametrize("control", ["<close/>", "<expire>9</expire>"])
def test_port_of_another(alice, bob, control):
    port = bob.register()
    reply = alice.query(control + alice.proxy_xml(port))
    assert reply.error.same(401, "auth", "not-authorized"), reply
    assert reply.error.text
    assert bob.ports() == {port}


def test_close_by_another_resource(service, alice):
    """Row 13: any resource of the owner may close."""
    phone = service.client("alice", "phone")
    port = alice.register()
    assert phone.close_port(port).ok
    assert not alice.ports()


def test_owner_full(start):
    """owner full: only the resource that registered."""
    passd = start(owner="full")
    home = passd.client("alice")
    phone = passd.client("alice", "phone")
    port = home.register()
    assert phone.close_port(port).error.same(401, "auth", "not-authorized")
    assert phone.ports() == set()
    assert home.close_port(port).ok


def test_allow_any_means_owner_full(start):
    """Row 13: a bare JID of a stranger may be a room."""
    passd = start(rules=["allow any"])
    home = passd.client("alice")
    phone = passd.client("alice", "phone")
    port = home.register()
    assert phone.close_port(port).error.code == 401
    assert home.close_port(port).ok


def test_expire_notification(service, alice):
    port = alice.register(expire=1)
    began = time.monotonic()
    notice = alice.notice(EXPIRED, port)
    assert 0.7 < time.monotonic() - began < 2.5
    assert notice.to == alice.jid
    assert all(not (e.text or "").strip() for e in notice.query[:2])
    assert tcp.wait_refused(peer_of(service, port))
    alice.silent(0.5)
    assert alice.ports() == set()
    service.wait_log(r"closed port=%d .*cause=expired" % port)


def test_unanswered_notification_is_not_repeated(alice):
    port = alice.register(expire=1)
    notice = alice.next()
    assert notice.names == EXPIRED
    alice.silent(2)
    notice.accept()
    assert port not in alice.ports()


def test_expire_during_pending(service, alice):
    """Row 6, trap 11: the peer is dropped, the leg too."""
    port = alice.register(expire=1)
    peer = tcp.connect(peer_of(service, port))
    request = alice.request()
    leg = tcp.connect(service.bound(request.proxy))
    alice.notice(EXPIRED, port)
    assert tcp.ending(peer) and tcp.ending(leg)
    request.accept()            # too late
    assert tcp.refused(service.bound(request.proxy))
    assert tcp.wait_refused(peer_of(service, port))
    alice.silent()


def test_expire_during_session(service, alice):
    """Row 7: the relay lives on."""
    port = alice.register(expire=1)
    peer, leg = pair(alice, port)
    alice.notice(EXPIRED, port)
    assert tcp.wait_refused(peer_of(service, port))
    tcp.joined(peer, leg, b"still here")
    tcp.hang_up(peer, leg)
    alice.silent()


def test_close_during_session(service, alice):
    """Row 7: so it does after a close, without any notification."""
    port = alice.register()
    peer, leg = pair(alice, port)
    assert alice.close_port(port).ok
    assert tcp.wait_refused(peer_of(service, port))
    tcp.joined(peer, leg, b"still here")
    leg.close()
    assert tcp.ending(peer)
    alice.silent()


def test_oneshot(service, alice):
    """Row 5: used up when both legs are up; one notification."""
    port = alice.register(oneshot=True)
    peer, leg = pair(alice, port)
    alice.notice(ONESHOT, port)
    assert tcp.wait_refused(peer_of(service, port))
    tcp.joined(peer, leg, b"and the relay lives")
    assert alice.ports() == set()
    tcp.hang_up(peer, leg)
    alice.silent()
    service.wait_log(r"closed port=%d .*cause=oneshot" % port)


def test_oneshot_listener_is_closed_before_the_notice(service, alice):
    """Row 5: close the listener, then tell."""
    port = alice.register(oneshot=True)
    pair(alice, port)
    alice.notice(ONESHOT, port)
    assert tcp.refused(peer_of(service, port))


def test_oneshot_survives_denial(service, alice):
    """XEP-0003 5.2: a denial does not affect oneshot."""
    port = alice.register(oneshot=True)
    peer = tcp.connect(peer_of(service, port))
    alice.request().deny()
    assert tcp.ending(peer)
    pair(alice, port)
    alice.notice(ONESHOT, port)


def test_oneshot_survives_missing_leg(service, alice):
    """Trap 9: accepted, never connected; still armed."""
    port = alice.register(oneshot=True)
    peer = tcp.connect(peer_of(service, port))
    alice.request().accept()
    assert tcp.ending(peer, 4)
    alice.silent()
    pair(alice, port)
    alice.notice(ONESHOT, port)


def test_oneshot_survives_lost_peer(service, alice):
    port = alice.register(oneshot=True)
    peer = tcp.connect(peer_of(service, port))
    alice.request()
    tcp.reset(peer)
    service.wait_log(r"ended port=%d .*cause=peer-gone" % port)
    pair(alice, port)
    alice.notice(ONESHOT, port)


def test_oneshot_with_expire(alice):
    """Row 6: whichever comes first, exactly one notification."""
    first = alice.register(expire=1, oneshot=True)
    second = alice.register(expire=2, oneshot=True)
    pair(alice, second)
    alice.notice(ONESHOT, second)
    alice.notice(EXPIRED, first)
    alice.silent(2)


def test_change_expire(service, alice):
    """Row 11: expire counts from now; the answer is a registration's."""
    port = alice.register(expire=600)
    reply = alice.modify(port, "<expire>1</expire>")
    assert reply.ok
    assert {p for _, p in reply.entities("server")} == {port}
    alice.notice(EXPIRED, port, 3)
    alice.silent()


def test_change_prolongs(alice):
    port = alice.register(expire=1)
    assert alice.modify(port, "<expire>60</expire>").ok
    alice.silent(1.5)
    assert alice.ports() == {port}


def test_change_is_clamped(alice):
    port = alice.register(expire=60)
    reply = alice.modify(port, "<expire>999999</expire>")
    assert reply.text("expire") == "3600"


@pytest.mark.parametrize("expire", ["0", "", "x"])
def test_bad_change(alice, expire):
    port = alice.register(expire=60)
    reply = alice.modify(port, "<expire>%s</expire>" % expire)
    assert reply.error.same(400, "modify", "bad-request")
    assert alice.ports() == {port}


def test_change_opens_no_second_port(alice):
    port = alice.register()
    assert alice.modify(port, "").ok
    assert alice.modify(port, "<oneshot/>").ok
    assert alice.ports() == {port}


def test_change_arms_oneshot(service, alice):
    port = alice.register()
    pair(alice, port)[0].close()
    alice.silent()
    assert alice.modify(port, "<oneshot/>").ok
    pair(alice, port)
    alice.notice(ONESHOT, port)
    assert tcp.wait_refused(peer_of(service, port))


def test_change_moves_the_port(service, alice):
    """Row 11: requests and notices go to the resource that came back."""
    phone = service.client("alice", "phone")
    port = alice.register(expire=600)
    assert phone.modify(port, "").ok
    peer, leg = pair(phone, port)
    tcp.hang_up(peer, leg)
    assert phone.modify(port, "<expire>1</expire>").ok
    phone.notice(EXPIRED, port, 3)
    alice.silent()


def test_moved_port_ignores_the_old_resource(service, alice):
    phone = service.client("alice", "phone")
    port = alice.register()
    assert phone.modify(port, "").ok
    peer = tcp.connect(peer_of(service, port))
    request = phone.request()
    request.deny(by=alice)
    assert tcp.is_open(peer)
    request.deny()
    assert tcp.ending(peer)
