# SPDX-License-Identifier: ISC
"""What a component offers beside PASS, and odd stanzas and JIDs."""

import pytest

import servers
import tcp
from users import NS_PASS

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
PING = "urn:xmpp:ping"
VERSION = "jabber:iq:version"
LAST = "jabber:iq:last"


def get(client, ns, name="query", kind="get", to=None):
    return client.user.iq(to or client.service, kind,
                          "<%s xmlns='%s'/>" % (name, ns))


def test_server_lists_it(service, alice):
    reply = get(alice, ITEMS, to=servers.DOMAIN)
    assert service.jid in [item.get("jid") for item in reply.query]


def test_info(alice):
    reply = get(alice, INFO)
    identities = reply.query.findall("{%s}identity" % INFO)
    assert [(i.get("category"), i.get("type")) for i in identities] == [
        ("proxy", "pass")]
    assert identities[0].get(
        "{http://www.w3.org/XML/1998/namespace}lang") == "en"
    features = {f.get("var")
                for f in reply.query.findall("{%s}feature" % INFO)}
    assert {INFO, ITEMS, NS_PASS, PING, VERSION, LAST} <= features
    assert "http://jabber.org/protocol/bytestreams" not in features


def test_items_are_empty(alice):
    reply = get(alice, ITEMS)
    assert reply.ok and len(reply.query) == 0


@pytest.mark.parametrize("ns", [INFO, ITEMS])
def test_unknown_node(alice, ns):
    reply = alice.user.iq(alice.service, "get",
                          "<query xmlns='%s' node='no-such'/>" % ns)
    assert reply.error.same(404, "cancel", "item-not-found")


def test_ping(alice):
    assert get(alice, PING, "ping").ok


def test_version(alice):
    reply = get(alice, VERSION)
    assert reply.query.findtext("{%s}name" % VERSION) == "passd"
    assert reply.query.findtext("{%s}version" % VERSION)
    assert reply.query.find("{%s}os" % VERSION) is None


def test_last(alice):
    reply = get(alice, LAST)
    assert 0 <= int(reply.query.get("seconds")) < 3600


@pytest.mark.parametrize("kind", ["get", "set"])
def test_unknown_namespace(alice, kind):
    reply = get(alice, "urn:example:unknown", "thing", kind)
    assert reply.error.same(503, "cancel", "service-unavailable")


def test_info_is_not_set(alice):
    assert not get(alice, INFO, kind="set").ok


def test_denied_jids_may_look(service, mallory):
    """The ACL is about ports; seeing and pinging is free."""
    assert get(mallory, INFO).ok and get(mallory, PING, "ping").ok


def test_errors_are_not_answered(service, alice):
    """RFC 6120 8.3.1: never an error for an error, nor for a result."""
    alice.user.subscribe(service.jid)
    for kind in ("error", "result"):
        for ident in ("none", ""):
            alice.user.send("<iq type='%s' id='%s' to='%s'>"
                            "<query xmlns='%s'/></iq>" % (
                                kind, ident, service.jid, NS_PASS))
    alice.silent(0.3)
    assert get(alice, PING, "ping").ok


def test_messages_and_presence_do_no_harm(service, alice):
    jid = service.jid
    for text in (
            "<message to='%s'><body>hello</body></message>" % jid,
            "<message to='%s' type='error'><body>hello</body></message>" % jid,
            "<message to='someone@%s/x' type='headline'/>" % jid,
            "<presence to='%s'/>" % jid,
            "<presence to='%s' type='unavailable'/>" % jid,
            "<presence to='%s' type='probe'/>" % jid,
            "<presence to='%s' type='error'/>" % jid,
            "<presence to='%s' type='subscribe'/>" % jid,
            "<iq to='%s' type='get' id='x'/>" % jid):
        alice.user.send(text)
    assert get(alice, PING, "ping").ok
    assert service.alive()


def test_address_below_the_domain(service, alice):
    """There are no users at the service."""
    reply = alice.user.iq("nobody@" + service.jid, "set",
                          "<query xmlns='%s'/>" % NS_PASS)
    assert not reply.ok
    assert not alice.ports()


@pytest.mark.parametrize("resource", [
    "a\"b'c<d>&e", "caf\u00e9 \u4e2d\u6587", "r" * 1000,
    "two words", "]]>", "a/b@c"])
def test_odd_resources(service, resource):
    """Trap 18: escaped on output, safe in the log."""
    client = service.client("dave", resource)
    assert client.jid.endswith("/" + resource)
    try:
        port = client.register()
        peer = tcp.connect(("127.0.0.1", port))
        request = client.request()
        assert request.to == client.jid
        request.accept()
        leg = tcp.connect(service.bound(request.proxy))
        tcp.joined(peer, leg)
        assert client.close_port(port).ok
    finally:
        client.cleanup()
        service.clients.remove(client)
        client.user.close()
    lines = service.text().splitlines()
    line = [x for x in lines if "registered port=%d " % port in x][-1]
    jid = line.partition(" jid=")[2].split()[0]
    assert jid.startswith("dave@example.test/")
    assert all(" " < c < "\x7f" for c in jid) and "\"" not in jid
    assert " expire=" in line


def test_case_of_the_domain(service, alice):
    reply = alice.user.iq(service.jid.upper(), "set",
                          "<query xmlns='%s'/>" % NS_PASS)
    assert reply.ok
    assert {p for _, p in reply.entities("server")} == alice.ports()


def test_text_of_errors_is_of_no_language_but_theirs(alice):
    reply = alice.query("<close/>")
    assert reply.error.text
    reply = alice.user.iq(alice.service, "set", "<query xmlns='%s'><close/>"
                          "</query>" % NS_PASS, lang="de")
    assert reply.error.same(400, "modify", "bad-request")
    assert reply.error.text is None
