# SPDX-License-Identifier: ISC
"""The component link against a server that misbehaves (XEP-0114, PROTOCOL
section 3, traps 13, 17 and 18)."""

import hashlib
import queue
import time
from pathlib import Path

import pytest

import fakeserver
import tcp
from fakeserver import NS_COMPONENT, NS_STREAMS, Stream
from users import NS_PASS

JID = "alice@example.test/home"
PING = "<ping xmlns='urn:xmpp:ping'/>"
QUERY = "<query xmlns='%s'>%%s</query>" % NS_PASS


@pytest.fixture
def linked(fake, launch):
    """A passd on the fake server, linked."""
    return launch(fake, fake.people)


@pytest.fixture
def manual(fake, launch):
    """A passd whose connections the test takes."""
    fake.manual = True
    return launch(fake, fake.people, up=False)


def login(fake, ident="abc", head=None, timeout=5):
    stream = fake.accept(timeout)
    stream.login(ident, head)
    return stream


def alive(fake, jid=JID):
    """The stream still works."""
    return fake.user(jid).iq(fakeserver.COMPONENT, "get", PING).ok


# The start of the stream.

@pytest.mark.parametrize("ident", [
    "x", "a&b", "<>&'\"", "caf\u00e9", "0123456789" * 20])
def test_id_is_unescaped(fake, manual, ident):
    login(fake, ident)
    manual.wait_log(r"link up server=127\.0\.0\.1:%d" % fake.component)


def test_header_in_pieces(fake, manual):
    """Every byte of the header by itself."""
    stream = fake.accept()
    stream.header.get(timeout=5)
    for char in Stream.head("a&b<c"):
        stream.send(char)
        time.sleep(0.002)
    handshake = stream.next()
    assert len(handshake.text) == 40 and handshake.text.islower()
    for char in "<handshake></handshake>":
        stream.send(char)
        time.sleep(0.002)
    manual.wait_log(r"link up ")


def test_header_and_handshake_with_stanzas_at_once(fake, manual):
    """What follows <handshake/> in the same segment is not lost."""
    stream = fake.accept()
    stream.send(Stream.head())
    stream.next()
    stream.send("<handshake/><iq type='get' id='q' from='%s' to='%s'>%s</iq>"
                % (JID, fakeserver.COMPONENT, PING))
    answer = stream.next()
    assert answer.get("id") == "q" and answer.get("type") == "result"


def test_default_namespace_by_prefix(fake, manual):
    """Namespaces, not prefixes, decide."""
    stream = login(fake, head="<s:stream xmlns='%s' xmlns:s='%s' id='abc'>"
                   % (NS_COMPONENT, NS_STREAMS))
    manual.wait_log(r"link up ")
    stream.send("<c:iq xmlns:c='%s' type='get' id='q' from='%s' to='%s'>%s"
                "</c:iq>" % (NS_COMPONENT, JID, fakeserver.COMPONENT, PING))
    assert stream.next().get("type") == "result"


@pytest.mark.parametrize("head", [
    "<stream xmlns='urn:example:no' id='abc'>",
    "<stream:stream xmlns='jabber:client' xmlns:stream='%s' id='abc'>"
    % NS_STREAMS,
    "HTTP/1.0 400 Bad Request\r\n\r\n", "\0\1\2\3", "<a><b></a>"])
def test_wrong_header(fake, manual, head):
    stream = fake.accept()
    stream.send(head)
    assert stream.ended.wait(5)
    manual.wait_log(r"link down reason=")
    login(fake, timeout=10)
    manual.wait_log(r"link up ")


def test_header_without_id(fake, manual):
    stream = fake.accept()
    stream.send("<stream:stream xmlns='%s' xmlns:stream='%s'>" % (
        NS_COMPONENT, NS_STREAMS))
    try:
        assert stream.next(2) is None
    except queue.Empty:
        raise AssertionError("passd goes on without an id") from None


@pytest.mark.parametrize("condition", [
    "conflict", "not-authorized", "host-unknown", "invalid-namespace",
    "system-shutdown", "policy-violation", "see-other-host"])
def test_stream_error_at_login(fake, manual, condition):
    """Logged by name; passd stays and comes back."""
    stream = fake.accept()
    stream.send(Stream.head())
    assert stream.next() is not None
    stream.error(condition, "read the manual")
    manual.wait_log(r"(?i)%s" % condition)
    assert manual.alive()
    mark = manual.mark()
    manual.kin("control")
    assert not manual.logged("link up", 0)
    if condition == "system-shutdown":
        login(fake, timeout=10)
        manual.wait_log(r"link up ", since=mark)


def test_stream_errors_and_return(linked, fake):
    """An error in the middle of a session, ports stay."""
    alice = linked.client("alice")
    port = alice.register()
    for condition in ("conflict", "undefined-condition"):
        mark = linked.mark()
        fake.up.clear()
        fake.stream.error(condition)
        linked.wait_log(r"link down reason=\S*%s" % condition, since=mark)
        assert fake.up.wait(15)
        linked.wait_log(r"link up ", since=mark, timeout=10)
    assert alice.ports() == {port}


def test_server_away_and_back(fake, launch):
    """Nobody listens at first; then somebody does."""
    fake.stop_listening()
    passd = launch(fake, fake.people, up=False)
    passd.wait_log(r"link down reason=|connect")
    fake.listen()
    assert fake.up.wait(20)
    passd.wait_log(r"link up ")


def test_back_off(manual, fake):
    """Between attempts the pause grows and is never below half a second."""
    times = []
    for _ in range(4):
        stream = fake.accept(20)
        times.append(time.monotonic())
        stream.close()
    pauses = [b - a for a, b in zip(times, times[1:])]
    assert all(p > 0.4 for p in pauses), pauses
    assert pauses[2] > pauses[0] * 1.2, pauses
    assert sum(pauses) < 20, pauses


# Stanzas.

def test_two_stanzas_in_one_segment(linked, fake):
    user = fake.user(JID)
    waits = [user.iq_async(fakeserver.COMPONENT, "get", PING)
             for _ in range(50)]
    assert all(wait().ok for wait in waits)


def test_stanza_in_pieces(linked, fake):
    text = "<iq type='get' id='q' from='%s' to='%s'>%s</iq>" % (
        JID, fakeserver.COMPONENT, PING)
    for char in text:
        fake.send(char)
        time.sleep(0.001)
    assert fake.strays.get(timeout=5).get("id") == "q"


def test_large_tag_in_pieces(linked, fake):
    """24 kB in one tag: expat's deferred reparsing must not stall."""
    head = ("<iq type='get' id='q' from='%s' to='%s'><ping "
            "xmlns='urn:xmpp:ping' a='%s" % (
                JID, fakeserver.COMPONENT, "x" * 24000))
    fake.send(head)
    time.sleep(0.1)
    fake.send("'/></iq")
    time.sleep(0.1)
    fake.send(">")
    assert fake.strays.get(timeout=5).get("id") == "q"


def bad(payload, kind="set"):
    return "<iq type='%s' id='bad' from='%s' to='%s'>%s</iq>" % (
        kind, JID, fakeserver.COMPONENT, payload)


@pytest.mark.parametrize("payload", [
    QUERY % ("x" * 524288),
    QUERY % ("<b/>" * 3000),
    QUERY % ("<a>" * 5000 + "</a>" * 5000),
    QUERY % ("<a " + " ".join("a%d='1'" % n for n in range(500)) + "/>"),
    QUERY % "".join("<e%d xmlns='urn:%d'/>" % (n, n) for n in range(2000)),
], ids=["512k", "children", "deep", "attributes", "namespaces"])
def test_unacceptable_stanza(linked, fake, payload):
    """Trap 17: skipped and answered, the stream lives."""
    fake.send(bad(payload))
    answer = fake.strays.get(timeout=5)
    assert answer.get("id") == "bad" and answer.get("type") == "error"
    assert answer.get("to") == JID
    assert answer.get("from") == fakeserver.COMPONENT
    error = answer.find("{%s}error" % NS_COMPONENT)
    assert error is not None and error.get("code") and error.get("type")
    assert alive(fake)
    assert not fake.stream.ended.is_set()


@pytest.mark.parametrize("stanza", [
    "<message from='%s' to='%s'><body>%s</body></message>",
    "<presence from='%s' to='%s'><status>%s</status></presence>",
    "<iq type='result' id='x' from='%s' to='%s'><q>%s</q></iq>",
    "<iq type='error' id='x' from='%s' to='%s'><q>%s</q></iq>"])
def test_big_stanza_that_gets_no_answer(linked, fake, stanza):
    fake.send(stanza % (JID, fakeserver.COMPONENT, "x" * 200000))
    assert alive(fake)
    assert fake.strays.empty() or fake.strays.get().get("type") == "error"


@pytest.mark.parametrize("text", [
    "<!DOCTYPE x [<!ENTITY a 'aaaa'>]>",
    "<?php phpinfo(); ?>",
    "<!-- a comment -->",
    "<message>&nbsp;</message>",
    "<message>&lol;</message>",
    "<iq></message>",
    "<message a='1' a='2'/>",
    "<message>\x01</message>",
    b"<message>\xff\xfe</message>",
    "</stream:stream>"],
    ids=["dtd", "pi", "comment", "entity", "entity2", "tags", "twice",
         "control", "utf8", "end"])
def test_what_ends_the_stream(linked, fake, text):
    """RFC 6120 11.1; passd comes back by itself and has lost no port."""
    alice = linked.client("alice")
    port = alice.register()
    fake.up.clear()
    old = fake.stream
    mark = linked.mark()
    fake.send(text)
    assert old.ended.wait(5)
    linked.wait_log(r"link down reason=", since=mark)
    assert fake.up.wait(15)
    linked.wait_log(r"link up ", since=mark)
    assert alice.ports() == {port}


def test_endless_tag_ends_the_stream(linked, fake):
    old = fake.stream
    fake.send("<iq from='%s' a='" % JID)
    for _ in range(40):
        fake.send("x" * 65536)
    assert old.ended.wait(5)
    linked.wait_log(r"link down reason=")


@pytest.mark.limit(60)
def test_stanza_flood(linked, fake):
    """Trap 17: 20 000 stanzas of every kind; then it still answers, and
    an owner's relay has gone on meanwhile."""
    alice = linked.client("alice")
    port = alice.register()
    peer = tcp.connect(("127.0.0.1", port))
    request = alice.request()
    request.accept()
    leg = tcp.connect(linked.bound(request.proxy))
    tcp.joined(peer, leg)
    lines = ["<message from='%s' to='%s'><body>hi</body></message>"
             "<presence from='%s' to='%s'/>"
             "<iq type='result' id='%d' from='%s' to='%s'/>"
             "<iq type='set' id='f%d' from='flood@example.test/%d' to='%s'>"
             "<query xmlns='jabber:iq:pass'><close/></query></iq>" % (
                 JID, fakeserver.COMPONENT, JID, fakeserver.COMPONENT, n,
                 JID, fakeserver.COMPONENT, n, n % 10, fakeserver.COMPONENT)
             for n in range(5000)]
    for start in range(0, len(lines), 50):
        fake.send("".join(lines[start:start + 50]))
        if start % 1000 == 0:
            tcp.joined(peer, leg)
    assert fake.user(JID).iq(fakeserver.COMPONENT, "get", PING, 30).ok
    tcp.joined(peer, leg)
    assert alice.ports() == {port}
    memory = int(Path("/proc/%d/statm" % linked.one("control"))
                 .read_text().split()[1]) * 4096
    assert memory < 512 << 20, memory


@pytest.mark.parametrize("stanza, answered", [
    ("<iq type='get' id='q' to='{c}'>{ping}</iq>", False),
    ("<iq type='get' id='q' from='' to='{c}'>{ping}</iq>", False),
    ("<iq type='get' id='q' from='@/@/' to='{c}'>{ping}</iq>", False),
    ("<iq type='get' id='q' from='{j}'>{ping}</iq>", None),
    ("<iq type='get' id='q' from='{j}' to='other.example'>{ping}</iq>", None),
    ("<iq type='get' from='{j}' to='{c}'>{ping}</iq>", None),
    ("<iq id='q' from='{j}' to='{c}'>{ping}</iq>", None),
    ("<iq type='blah' id='q' from='{j}' to='{c}'>{ping}</iq>", None),
    ("<iq type='get' id='q' from='{j}' to='{c}'/>", True),
    ("<iq type='get' id='q' from='{j}' to='{c}'>text</iq>", True),
    ("<iq type='get' id='q' from='{j}' to='{c}'>{ping}{ping}</iq>", True),
    ("<unknown from='{j}' to='{c}' id='q'/>", False),
    ("<iq xmlns='jabber:client' type='get' id='q' from='{j}' to='{c}'>"
     "{ping}</iq>", None),
    ("<iq type='get' id='{long}' from='{j}' to='{c}'>{ping}</iq>", None)])
def test_malformed_stanzas(linked, fake, stanza, answered):
    """None of them harms; those that must be answered are."""
    fake.send(stanza.format(c=fakeserver.COMPONENT, j=JID, ping=PING,
                            long="i" * 5000))
    assert alive(fake, "bob@example.test/x")
    if answered is not None:
        assert fake.strays.empty() == (not answered)
        if answered:
            assert fake.strays.get().get("type") == "error"
    assert not fake.stream.ended.is_set()


@pytest.mark.parametrize("jid", [
    "alice@example.test/" + "r" * 1023,
    "a" * 1023 + "@example.test/" + "\u00e9" * 511,
    "alice@example.test/\"'<>&",
    "example.test", "example.test/x", "alice@example.test"],
    ids=["resource", "node", "quotes", "domain", "domain-resource", "bare"])
def test_jids(fake, launch, jid):
    """Trap 18: as long and as odd as RFC 7622 lets them be."""
    passd = launch(fake, lambda name, resource: fake.user(jid))
    client = passd.client("whoever")
    port = client.register()
    peer = tcp.connect(("127.0.0.1", port))
    request = client.request()
    assert request.to == jid
    request.accept()
    tcp.joined(peer, tcp.connect(passd.bound(request.proxy)))


@pytest.mark.parametrize("jid", [
    "a" * 1024 + "@example.test/x", "alice@example.test/" + "r" * 1024,
    "al ice@example.test/x", "@example.test", "alice@", "alice@/x"],
    ids=["node", "resource", "space", "no-node", "no-domain", "empty"])
def test_what_is_no_jid(linked, fake, jid):
    fake.user(jid).send("<iq type='set' id='q' to='%s'>%s</iq>" % (
        fakeserver.COMPONENT, QUERY % ""))
    assert alive(fake)
    if not fake.strays.empty():
        assert fake.strays.get().get("type") == "error"
    assert not linked.kin("worker")


def test_same_person_in_another_spelling(linked, fake):
    """stringprep: case of node and domain do not make another owner."""
    one = linked.client("alice")
    port = one.register()
    fake.send("<iq type='set' id='q' from='ALICE@Example.TEST/home' to='%s'>"
              "%s</iq>" % (fakeserver.COMPONENT,
                           QUERY % ("<close/>" + one.proxy_xml(port))))
    assert fake.strays.get(timeout=5).get("type") == "result"


def test_text_between_stanzas(linked, fake):
    """It may end the stream or not, but not passd."""
    fake.up.clear()
    fake.send("text between stanzas")
    if fake.stream.ended.wait(1):
        assert fake.up.wait(15)
    assert alive(fake)


def test_iq_without_id_is_answered_without(linked, fake):
    fake.send("<iq type='get' from='%s' to='%s'><x xmlns='urn:no'/></iq>" % (
        JID, fakeserver.COMPONENT))
    answer = fake.strays.get(timeout=5)
    assert answer.get("type") == "error" and answer.get("id") is None


def test_answer_with_the_id_of_a_notification(linked, fake):
    """Results are matched to what they answer."""
    alice = linked.client("alice")
    port = alice.register(expire=1)
    other = alice.register()
    notice = alice.next()
    peer = tcp.connect(("127.0.0.1", other))
    request = alice.request()
    notice.answer("result", "")
    notice.answer("error", "<error/>")
    assert tcp.is_open(peer)
    request.deny()
    assert tcp.ending(peer)
    assert alice.ports() == {other} != {port}


def test_unsolicited_ping_answers(linked, fake):
    """Results from our own domain that answer nothing are noise."""
    for kind in ("result", "error"):
        fake.send("<iq type='%s' id='1' from='%s' to='%s'/>" % (
            kind, fakeserver.COMPONENT, fakeserver.COMPONENT))
    assert alive(fake)
    assert fake.strays.empty()


def test_spoofed_request_of_ourselves(linked, fake):
    """Our own domain has no right to a port."""
    fake.send("<iq type='set' id='q' from='%s' to='%s'>%s</iq>" % (
        fakeserver.COMPONENT, fakeserver.COMPONENT, QUERY % ""))
    assert alive(fake)
    assert not linked.kin("worker")


@pytest.mark.parametrize("bounce, gone", [
    ("<error type='cancel'><item-not-found xmlns='{x}'/></error>", True),
    ("<error type='cancel'><gone xmlns='{x}'>xmpp:a@b</gone></error>", True),
    ("<error type='cancel'><service-unavailable xmlns='{x}'/></error>", True),
    ("<error type='wait'><recipient-unavailable xmlns='{x}'/></error>", None),
    ("<error type='cancel'><remote-server-not-found xmlns='{x}'/></error>",
     False),
    ("<error type='wait'><remote-server-timeout xmlns='{x}'/></error>", False),
    ("<error type='auth'><not-authorized xmlns='{x}'/></error>", False),
    ("<error code='401'>Unauthorized</error>", False)])
def test_which_bounces_mean_gone(linked, fake, bounce, gone):
    """Row 7b."""
    alice = linked.client("alice")
    port = alice.register()
    peer = tcp.connect(("127.0.0.1", port))
    alice.request().answer("error", bounce.format(
        x="urn:ietf:params:xml:ns:xmpp-stanzas"))
    assert tcp.ending(peer)
    if gone is None:
        return
    if gone:
        linked.wait_log(r"closed port=%d .*cause=owner-gone" % port, 4)
        assert tcp.wait_refused(("127.0.0.1", port))
    else:
        time.sleep(1.6)
        assert alice.ports() == {port}
    alice.silent(0.1)


# While the link is down.

def down(fake):
    """Cut the stream; nobody listens any more."""
    fake.up.clear()
    fake.stop_listening()
    fake.stream.close()


def test_link_down(linked, fake):
    """Relays go on, ports stay, new peers get a RST; pending ones too."""
    alice = linked.client("alice")
    ports = [alice.register() for _ in range(3)]
    expiring = alice.register(expire=2)
    oneshot = alice.register(oneshot=True)
    peer = tcp.connect(("127.0.0.1", ports[0]))
    request = alice.request()
    request.accept()
    leg = tcp.connect(linked.bound(request.proxy))
    tcp.joined(peer, leg)
    down(fake)
    linked.wait_log(r"link down reason=")
    assert tcp.turned_away(("127.0.0.1", ports[1]))
    tcp.joined(peer, leg)
    linked.wait_log(r"closed port=%d .*cause=expired" % expiring)
    assert tcp.wait_refused(("127.0.0.1", expiring))
    fake.listen()
    assert fake.up.wait(20)
    linked.wait_log(r"(?s)link up .*link up ", 5)
    alice.notice(["expire", "close", "proxy"], expiring)
    alice.silent()
    assert alice.ports() == {*ports, oneshot}
    tcp.joined(peer, leg)
    tcp.hang_up(peer, leg)


def test_answer_across_a_reconnect(linked, fake):
    """Trap 13: the stream is cut while the owner is asked.  The peer may
    be dropped or the late answer may count, but nothing hangs."""
    alice = linked.client("alice")
    port = alice.register()
    peer = tcp.connect(("127.0.0.1", port))
    request = alice.request()
    fake.up.clear()
    fake.stream.close()
    assert fake.up.wait(15)
    request.accept()
    try:
        leg = tcp.connect(linked.bound(request.proxy))
        tcp.joined(peer, leg)
    except (ConnectionError, AssertionError):
        assert tcp.ending(peer, 5)
    assert alice.ports() == {port}


def test_down_twice(linked, fake):
    """Notifications of both outages arrive, each once."""
    alice = linked.client("alice")
    expiring = [alice.register(expire=n) for n in (1, 2)]
    for _ in range(2):
        fake.up.clear()
        fake.stream.close()
        assert fake.up.wait(15)
    # One that was sent but not answered may come again, with its old id.
    notices = {}
    while len(notices) < 2:
        notice = alice.next(8)
        assert notice.names == ["expire", "close", "proxy"]
        assert notices.setdefault(notice.proxy[1], notice.id) == notice.id
        notice.accept()
    assert set(notices) == set(expiring)


def test_secret_changed(fake, manual):
    """A reload takes a new secret from the same file, for the next login."""
    first = login(fake)
    manual.wait_log(r"link up ")
    mark = manual.mark()
    manual.secret.write_text("another one\n")
    manual.hup()
    manual.wait_log(r"(?m)info reloaded", since=mark)
    first.close()
    second = fake.accept(10)
    second.send(Stream.head())
    handshake = second.next()
    assert handshake.text == hashlib.sha1(b"abcanother one").hexdigest()
    assert "another one" not in manual.text()


# Where the server is.

def test_host_name(fake, launch):
    """server "localhost" is resolved at the start."""
    passd = launch(fake, fake.people,
                   server='"localhost" port %d' % fake.component)
    assert passd.client("alice").register()


def test_unknown_host_name(fake, launch):
    """At the start that is an error, with the name in it."""
    passd = launch(fake, fake.people, start=False,
                   server='"no-such-host.invalid" port %d' % fake.component)
    passd.write()
    run = passd.run("-d", timeout=15)
    assert run.returncode == 1
    assert "no-such-host.invalid" in run.stderr


def test_unix_path(fake, launch, tmp_path_factory):
    """server "/path": passd's parent connects and hands it over."""
    with tcp.unix_proxy(fake.component) as path:
        passd = launch(fake, fake.people, server='"%s"' % path)
        alice = passd.client("alice")
        port = alice.register()
        fake.up.clear()
        fake.stream.close()
        assert fake.up.wait(15)
        assert alice.ports() == {port}


def test_unix_path_appears_late(fake, launch):
    with tcp.unix_proxy(fake.component, late=True) as path:
        passd = launch(fake, fake.people, up=False, server='"%s"' % path)
        time.sleep(0.5)
        with tcp.unix_proxy(fake.component, path):
            assert fake.up.wait(15)
            passd.wait_log(r"link up ")


def test_wrong_secret(start, server):
    """A real server's refusal: said so, no exit, no storm."""
    passd = start(start=False)
    passd.secret.write_text("wrong\n")
    passd.start(up=False)
    passd.wait_log(r"not-authorized")
    time.sleep(1.5)
    assert passd.alive() and not passd.logged("link up")
    assert passd.logged("not-authorized") < 4


def test_second_instance(start, server):
    """Prosody refuses the newcomer with conflict; ejabberd takes both."""
    first = start()
    second = start(up=False)
    if server.name == "prosody":
        second.wait_log(r"conflict")
        assert first.client("alice").register()
    else:
        second.wait_log(r"link up ")
    assert first.alive() and second.alive()
