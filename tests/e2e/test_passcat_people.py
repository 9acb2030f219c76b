# SPDX-License-Identifier: ISC
"""passcat and presence: finding people, and being found by nobody who was not
named (XEP-0276)."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ET

import pytest

import servers
import users
from test_passcat import DONE, REFUSED, USAGE, terminal  # noqa: F401
from test_passcat_forward import service, stop  # noqa: F401

NS_DECLOAK = "urn:xmpp:decloak:0"
NS_CAPS = "http://jabber.org/protocol/caps"
NS_INFO = "http://jabber.org/protocol/disco#info"


def stanzas(running, way):
    """What it has sent ("->") or got ("<-"), as -v shows it."""
    return re.findall(r"^passcat: %s (.*)$" % re.escape(way), running.text(),
                      re.M)


def presences(running, way="->"):
    return [s for s in stanzas(running, way) if s.startswith("<presence")]


def test_find_one_who_agreed(cat, service):
    """bob lets alice see him, and she finds out what he can do."""
    running, _ = cat.forward(service().port, "--yes", "-v", "--decloak",
                             "alice@" + servers.DOMAIN, user="bob")
    found = cat.start("find", "-v", "--reason", "file",
                      "bob@" + servers.DOMAIN)
    peer = found.event("peer")
    assert peer["jid"].startswith("bob@%s/passcat-" % servers.DOMAIN)
    assert "decloak" in peer["can"]
    assert found.wait() == DONE
    request, *rest = presences(found)
    assert NS_DECLOAK in request and 'reason="file"' in request
    # When she has left, she says so.
    assert any('type="unavailable"' in p for p in rest)
    told = running.event("decloaked")
    assert told["jid"].startswith("alice@%s/" % servers.DOMAIN)
    stop(running)
    directed = [ET.fromstring(p) for p in presences(running) if " to=" in p]
    bare = [p for p in directed if p.get("type") is None]
    # Capabilities and nothing else, to the one full JID that asked.
    assert [p.get("to") for p in bare] == [told["jid"]]
    assert [child.tag for child in bare[0]] == ["{%s}c" % NS_CAPS]


def test_capabilities_hash(cat, service):
    """What is told by disco is what the hash in presence says."""
    running, _ = cat.forward(service().port, "--yes", "-v", "--decloak",
                             servers.DOMAIN, user="bob")
    found = cat.run("find", "-v", "bob@" + servers.DOMAIN)
    assert found.code == DONE
    stop(running)
    caps = [ET.fromstring(p) for p in presences(found, "<-")
            if NS_CAPS in p][0].find("{%s}c" % NS_CAPS)
    info = [ET.fromstring(s) for s in stanzas(running, "->")
            if NS_INFO in s and 'type="result"' in s][0][0]
    features = sorted(f.get("var") for f in info
                      if users.local(f) == "feature")
    identity = info[0]
    text = "%s/%s/en/%s<" % (identity.get("category"), identity.get("type"),
                             identity.get("name"))
    text += "".join(feature + "<" for feature in features)
    digest = hashlib.sha1(text.encode()).digest()
    assert caps.get("ver") == base64.b64encode(digest).decode()


@pytest.mark.parametrize("rule", ["carol@" + servers.DOMAIN, "other.test",
                                  None])
def test_nobody_else_is_told(cat, service, rule):
    """alice asks one who has not agreed: no presence, no answer to disco, not
    even an error that says that somebody is there."""
    options = ("--decloak", rule) if rule else ()
    running, _ = cat.forward(service().port, "--yes", "-v", *options,
                             user="bob")
    ended = cat.run("find", "-v", "--timeout", "2", "bob@" + servers.DOMAIN)
    assert ended.code == REFUSED
    assert not [p for p in presences(ended, "<-")
                if "bob@%s/" % servers.DOMAIN in p]
    jid = "bob@%s/%s" % (servers.DOMAIN, re.search(
        r"passcat-[0-9a-f]{8}", running.text()).group())
    # By a guess of the full JID no more is learnt than from a server that
    # has nobody there.
    asked = cat.run("find", "-v", "--timeout", "2", jid)
    answer = [s for s in stanzas(asked, "<-") if 'type="error"' in s]
    assert len(answer) == 1 and "service-unavailable" in answer[0]
    stop(running)
    assert not [p for p in presences(running) if "alice@" in p]
    # Only who may be asked at all is available to the server.
    assert len(presences(running)) == (1 if rule else 0)


def test_decloak_ask(cat, terminal, service):  # noqa: F811
    """Each time the person decides."""
    tty = terminal("forward", "--yes", "--decloak", "ask",
                   str(service().port), user="bob")
    tty.running.event("listening")
    for answer, code in (("n", REFUSED), ("y", DONE)):
        found = cat.start("find", "--timeout", "20", "bob@" + servers.DOMAIN)
        tty.expect(r"alice@%s/\S+ asks whether you are here.*\[y/N\]"
                   % re.escape(servers.DOMAIN))
        tty.type(answer + "\n")
        told = tty.running.event(("cloaked", "decloaked"))
        assert told["event"] == ("decloaked" if code == DONE else "cloaked")
        if code == DONE:
            assert found.wait() == DONE
        found.kill()
    stop(tty.running)


def test_find_nobody(cat):
    ended = cat.run("find", "--timeout", "1", "dave@" + servers.DOMAIN)
    assert ended.code == REFUSED
    assert "--decloak" in ended.text()
    assert cat.run("find", "@@").code == USAGE
