# SPDX-License-Identifier: ISC
"""passcat and those who mean no good: strangers who know its full JID, a
server that does not stop talking; a second library beside its own."""

import contextlib
import queue
import re
import socket
import time

import pytest

import servers
import users
from test_passcat import HEADER, LOGIN, NS_TLS, SERVICE, talk
from test_passcat_forward import service, stop      # noqa: F401

NS_DECLOAK = "urn:xmpp:decloak:0"
NS_INFO = "http://jabber.org/protocol/disco#info"
QUESTIONS = ["<query xmlns='%s'/>" % NS_INFO,
             "<ping xmlns='urn:xmpp:ping'/>",
             "<query xmlns='jabber:iq:version'/>",
             "<query xmlns='jabber:iq:pass'/>"]


class SecureUser(users.User):
    """A session of slixmpp, over TLS."""

    def open(self):
        self.others = queue.Queue()
        self.xmpp.ca_certs = str(self.server.tls / "ca.pem")
        self.xmpp.add_event_handler("presence", self.others.put)
        self.xmpp.connect(("127.0.0.1", self.server.c2s))

    def presence_from(self, jid, timeout):
        """The next available presence from that JID, or None."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                p = self.others.get(timeout=0.2)
                if str(p["from"]) == jid and not p.xml.get("type"):
                    return p.xml
        return None


@pytest.fixture
def session(secure, loop):
    made = []

    def session(name):
        made.append(SecureUser(loop, secure.server, servers.DOMAIN, name,
                               servers.PASSWORD, "rude"))
        return made[-1]
    yield session
    for user in made:
        user.close()


def start(cat, service, *options):
    """A forward of alice's: itself, where, and its full JID."""
    running, address = cat.forward(service().port, "--yes", "-v", *options)
    jid = re.search(r"logged in as (\S+)", running.text())[1]
    return running, address, jid


def test_requests_of_strangers(cat, service, session):
    """Only the service that gave the port can send visitors, or close it."""
    running, address, jid = start(cat, service)
    mallory = session("mallory")
    with socket.create_server(("127.0.0.1", 0)) as trap:
        port = trap.getsockname()[1]
        for payload in (
                "<client port='1'>127.0.0.1</client>"
                "<proxy port='%d'>127.0.0.1</proxy>" % port,
                "<oneshot/><close/><proxy port='%d'>%s</proxy>"
                % (address[1], address[0])):
            reply = mallory.iq(jid, "set", "<query xmlns='jabber:iq:pass'>"
                               "%s</query>" % payload, 20)
            assert reply.error.same(503, "cancel", "service-unavailable")
        # It has answered both; whatever it did was done before.
        assert talk(address, b"still mine") == b"still mine"
        trap.settimeout(0.2)
        with pytest.raises(TimeoutError):
            trap.accept()
    stop(running)


@pytest.mark.parametrize("namespace", [
    NS_DECLOAK, "urn:xmpp:temppres:0", "urn:xmpp:decloaking:0",
    "http://telepathy.freedesktop.org/xmpp/protocol/decloak"])
def test_decloak_by_another_library(cat, service, session, namespace):
    """bob is named and gets presence and answers, until he leaves; carol, who
    is not, gets what she would get of nobody."""
    running, _, jid = start(cat, service, "--decloak",
                            "bob@" + servers.DOMAIN)
    bob, carol = session("bob"), session("carol")
    request = ("<presence to='alice@%s'><decloak xmlns='%s' reason='text'/>"
               "</presence>" % (servers.DOMAIN, namespace))
    carol.send(request)
    bob.send(request)
    presence = bob.presence_from(jid, 20)
    assert presence is not None
    assert {users.local(child) for child in presence} <= {"c", "delay"}
    assert bob.iq(jid, "get", QUESTIONS[0], 20).ok
    assert bob.iq(jid, "get", QUESTIONS[1], 20).ok
    bob.send("<presence to='%s' type='unavailable'/>" % jid)
    for who in (carol, bob):
        for question in QUESTIONS:
            reply = who.iq(jid, "get", question, 20)
            assert reply.error.condition == "service-unavailable"
    assert carol.presence_from(jid, 0.5) is None
    assert running.event("decloaked")["jid"] == bob.jid
    stop(running)
    # Nothing else was told to anybody.
    sent = re.findall(r"^passcat: -> (<presence.*)$", running.text(), re.M)
    assert all("carol" not in stanza for stanza in sent)


def test_endless_stanza(cat):
    """A server that never ends a stanza: given up with little memory."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        new = cat.start("--host", "127.0.0.1:%d" % listener.getsockname()[1],
                        "list", json=False)
        listener.settimeout(20)
        server, _ = listener.accept()
        with server, contextlib.suppress(OSError):
            server.settimeout(20)
            server.sendall(b"<stream:stream xmlns='jabber:client' id='1' "
                           b"xmlns:stream='http://etherx.jabber.org/streams' "
                           b"version='1.0'><stream:features>")
            for _ in range(1000):
                server.sendall(b"<a b='c'>text</a>" * 4000)
    assert new.wait() == SERVICE
    assert "sensible" in new.text()


@pytest.mark.slow
@pytest.mark.limit(60)
def test_silent_in_the_handshake(cat, secure):
    """A server that agrees to TLS and then says nothing holds nobody."""
    if secure.name != "prosody":
        pytest.skip("its server is its own: once is enough")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        new = cat.start("--host", "127.0.0.1:%d" % listener.getsockname()[1],
                        "list", json=False)
        listener.settimeout(20)
        server, _ = listener.accept()
        with server:
            server.settimeout(20)
            server.recv(4096)
            server.sendall(HEADER % (b"<starttls xmlns='%s'/>" % NS_TLS))
            while b"<starttls" not in server.recv(4096):
                pass
            server.sendall(b"<proceed xmlns='%s'/>" % NS_TLS)
            assert new.wait(50) == LOGIN
