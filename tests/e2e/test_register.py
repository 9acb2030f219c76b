# SPDX-License-Identifier: ISC
"""Registration, its limits and the list of one's ports (XEP-0003 2)."""

import socket

import pytest

import tcp
from users import NS_PASS, NS_PASSD


def entity_ports(reply):
    return [port for _, port in reply.entities("server")]


def test_result(service, alice):
    """v4 first, then v6, one port, as advertised; both listen."""
    reply = alice.query("<expire>600</expire>")
    assert reply.ok and reply.sender == service.jid
    assert len(reply.children) == 1
    assert reply.query.tag == "{%s}query" % NS_PASS
    servers = reply.entities("server")
    assert [a for a, _ in servers] == service.advertise
    port = servers[0][1]
    assert entity_ports(reply) == [port, port]
    assert service.config.ports[0] <= port <= service.config.ports[1]
    assert reply.text("expire") in (None, "600")
    for entity in servers:
        peer = tcp.connect(service.bound(entity))
        assert alice.request().peer == peer.getsockname()[:2]
        peer.close()
    service.wait_log(r"registered port=%d jid=%s expire=600 oneshot=no"
                     % (port, alice.jid))


def test_no_expire_is_told(alice):
    """Row 9: a default lifetime applies and is stated."""
    reply = alice.query()
    assert reply.text("expire") == "3600"
    assert reply.own("granted").attrib == {"expire": "3600", "sessions": "1"}


@pytest.mark.parametrize("wish", [
    "3601", "86400", str(2**32 + 600), str(2**64), str(2**64 + 600),
    "9" * 31])
def test_long_expire_is_clamped(alice, wish):
    """Rows 9 and 10, trap 5."""
    reply = alice.query("<expire>%s</expire>" % wish)
    assert reply.ok
    assert reply.text("expire") == "3600"
    assert reply.own("granted").get("expire") == "3600"


@pytest.mark.parametrize("wish, told", [
    ("3600", "3600"), ("0600", "600"), ("1", "1"), (" 5\n", "5")])
def test_expire_within_limits(alice, wish, told):
    reply = alice.query("<expire>%s</expire>" % wish)
    assert reply.ok
    assert reply.text("expire") in (None, told)


@pytest.mark.parametrize("text", [
    "", "0", "00", "-1", "+5", "5.0", "0x10", "1e3", "ten", "5 5", "\u0665"])
def test_bad_expire(alice, text):
    """Row 10, trap 5."""
    reply = alice.query("<expire>%s</expire>" % text)
    assert not reply.ok and reply.error.same(400, "modify", "bad-request")
    assert reply.error.text
    assert not alice.ports()


def test_oneshot(service, alice):
    for expire in (None, 600):
        port = alice.register(expire=expire, oneshot=True)
        service.wait_log(r"registered port=%d .*oneshot=yes" % port)


@pytest.mark.parametrize("inner", [
    "<expire>5</expire><expire>6</expire>",
    "<oneshot/><oneshot/>",
    "<server port='28000'>198.51.100.7</server>",
    "<close/><expire>5</expire><proxy port='1'>198.51.100.7</proxy>",
    "<close/><oneshot/><proxy port='1'>198.51.100.7</proxy>",
    "<close/><close/><proxy port='1'>198.51.100.7</proxy>",
    "<proxy port='1'>198.51.100.7</proxy>"
    "<proxy port='1'>198.51.100.7</proxy>"])
def test_contradictions(alice, inner):
    """Row 12."""
    reply = alice.query(inner)
    assert not reply.ok and reply.error.same(400, "modify", "bad-request")
    assert not alice.ports()


@pytest.mark.parametrize("inner", [
    "<peers xmlns='urn:x-passd:1'><allow>192.0.2.0/24</allow></peers>",
    "<limit xmlns='urn:x-passd:1'/>"])
def test_own_extensions_that_are_not_served(alice, inner):
    """A limit that is not kept must not seem to be taken."""
    reply = alice.query(inner)
    assert reply.error.same(501, "cancel", "feature-not-implemented"), reply
    assert not alice.ports()


@pytest.mark.parametrize("inner", [
    "<colour xmlns='urn:example:no'>red</colour>",
    "<expire xmlns='urn:example:no'/>",
    "<server xmlns='urn:example:no' port='0'/>some text"])
def test_foreign_children_are_ignored(alice, inner):
    """Row 12 and RFC 6120 8.4."""
    assert alice.query(inner).ok


@pytest.mark.parametrize("payload", [
    "",
    "<query xmlns='%s'/><query xmlns='%s'/>" % (NS_PASS, NS_PASS),
    "<query xmlns='%s'/><expire>1200</expire>" % NS_PASS,
    "<query xmlns='%s'/><other xmlns='urn:example:no'/>" % NS_PASS])
def test_not_one_child(service, alice, payload):
    """Row 1a, trap 4.  Prosody answers itself, ejabberd lets it through."""
    reply = alice.user.iq(service.jid, "set", payload)
    assert reply.type == "error"
    assert (reply.error.type, reply.error.condition) == (
        "modify", "bad-request")
    if service.server.name == "ejabberd":
        assert reply.error.code == 400
    assert not alice.ports()


def test_expire_without_query(service, alice):
    """XMPPFramework's registration has no query at all."""
    reply = alice.user.iq(service.jid, "set", "<expire>1200</expire>")
    assert reply.type == "error"
    assert reply.error.same(400, "modify", "bad-request") \
        or reply.error.same(503, "cancel", "service-unavailable")
    assert not alice.ports()


def test_too_many_ports(service, alice, bob):
    limit = int(service.config.quota["ports"])
    ports = {alice.register() for _ in range(limit)}
    assert len(ports) == limit
    reply = alice.query()
    assert reply.error.same(500, "wait", "resource-constraint")
    assert reply.error.own.tag == "{%s}too-many-ports" % NS_PASSD
    assert reply.error.own.get("limit") == str(limit)
    assert reply.error.text
    assert alice.ports() == ports
    bob.register()              # the limit is alice's
    alice.close_port(ports.pop())
    alice.register()


def test_quota_counts_the_bare_jid(service, alice):
    other = service.client("alice", "phone")
    for client in [alice, other] * 4:
        client.register()
    assert other.query().error.code == 500


def test_quota_of_one_jid(start):
    passd = start(extra='quota "alice@example.test" { ports 3 }\n',
                  quota={"ports": "1"})
    for name, limit in (("alice", 3), ("bob", 1)):
        client = passd.client(name)
        for _ in range(limit):
            client.register()
        assert client.query().error.own.get("limit") == str(limit)


def test_acl(service, mallory):
    reply = mallory.query()
    assert reply.error.same(403, "auth", "forbidden"), reply
    assert reply.error.own.tag == "{%s}acl" % NS_PASSD
    service.wait_log(r"refused jid=%s request=register" % mallory.jid)


def test_get_lists_own_ports(service, alice, bob):
    """Row 20: the caller's ports, nobody else's."""
    mine = {alice.register() for _ in range(3)}
    bob.register()
    reply = alice.query(kind="get")
    assert {port for _, port in reply.entities("server")} == mine
    assert {a for a, _ in reply.entities("server")} <= set(service.advertise)
    usage = reply.own("usage")
    assert usage.get("ports") == "3"
    assert usage.get("limit") == service.config.quota["ports"]
    other = service.client("alice", "phone")
    assert other.ports() == mine
    alice.close_port(mine.pop())
    assert alice.ports() == mine


def test_pool_runs_out(start):
    """XEP-0003 2: 502 when all ports are taken."""
    passd = start(count=6, quota={"ports": "20"})
    lo, hi = passd.config.ports
    alice, bob = passd.client("alice"), passd.client("bob")
    taken = {alice.register() for _ in range(hi - lo + 1)}
    assert taken == set(range(lo, hi + 1))
    for client in (alice, bob):
        reply = client.query()
        assert reply.error.same(502, "wait", "service-unavailable")
        assert reply.error.own.tag == "{%s}no-ports" % NS_PASSD
    assert alice.ports() == taken


def test_port_of_somebody_else_is_skipped(start):
    """A port in our range that another program holds is not given out."""
    passd = start(count=6)
    lo, hi = passd.config.ports
    with socket.create_server(("127.0.0.1", lo + 1)):
        alice = passd.client("alice")
        got = {alice.register() for _ in range(hi - lo)}
        assert got == set(range(lo, hi + 1)) - {lo + 1}
        assert alice.query().error.code == 502


def test_released_port_rests(start):
    """A port is not given to somebody else right after its release."""
    passd = start(count=9)      # six ports
    alice, bob = passd.client("alice"), passd.client("bob")
    port = alice.register()
    assert alice.close_port(port).ok
    assert tcp.wait_refused(("127.0.0.1", port))
    lo, hi = passd.config.ports
    others = {bob.register() for _ in range(hi - lo)}
    assert port not in others and len(others) == hi - lo


def test_choice_of_ports_is_not_a_counter(service, alice):
    ports = []
    for _ in range(8):
        ports.append(alice.register())
        alice.close_port(ports[-1])
    assert len(set(ports)) == 8
    steps = {b - a for a, b in zip(ports, ports[1:])}
    assert len(steps) > 3, ports


def test_registration_storm(service, alice):
    """Twenty at once: each gets an answer of its own, quota kept."""
    waits = [alice.user.iq_async(service.jid, "set",
                                 "<query xmlns='%s'/>" % NS_PASS)
             for _ in range(20)]
    replies = [wait(10) for wait in waits]
    ports = [entity_ports(r)[0] for r in replies if r.ok]
    assert len(ports) == len(set(ports)) == 8
    assert all(r.error.code == 500 for r in replies if not r.ok)
    assert alice.ports() == set(ports)
