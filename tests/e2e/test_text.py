# SPDX-License-Identifier: ISC
"""Text that anybody in the federation can send: XML of every bad kind and
JIDs of every odd kind, from the server itself and from users of real ones.
Nobody but its author notices, and the log stays one that programs can
read."""

import re
import time

import pytest

import tcp
import users
from fakeserver import COMPONENT, NS_COMPONENT
from users import NS_PASS, NS_STANZAS

JID = "eve@example.test/home"
PING = "<ping xmlns='urn:xmpp:ping'/>"
QUERY = "<query xmlns='%s'>%%s</query>" % NS_PASS
IQ = "<iq type='set' id='bad' from='%s' to='%s'>%%s</iq>" % (JID, COMPONENT)
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) [ -~]+")
# A value is a word, or stands in quotes; a word has no quotes.
PAIR = re.compile(r' ([a-z]+)=("[^"]*"|[^ "\']*)(?= |$)')
MINE = re.compile(r" (registered|changed|client|leg|paired|ended|closed|"
                  r"refused|owner missing|notice|skipped|answer|quota) ")


def check_log(passd):
    """Every line is a line of passd's, and an event is key=value pairs."""
    raw = passd.log.read_bytes()
    assert all(byte == 10 or 32 <= byte < 127 for byte in raw)
    for line in raw.decode().splitlines():
        assert LINE.fullmatch(line), line
        if MINE.search(line):
            rest = PAIR.sub("", line)
            assert "=" not in rest and '"' not in rest, line


def unescape(text):
    """What unvis(1) makes of a value in the log."""
    found = re.sub(rb"\\(\\|[0-7]{3})", lambda m: b"\\" if m[1] == b"\\" else
                   bytes([int(m[1], 8)]), text.encode())
    return found.decode(errors="replace")


def value(line, key):
    return dict(PAIR.findall(line))[key]


class Bystander:
    """Another user with a port, a relay and what he sees of the service."""

    def __init__(self, passd, name="alice"):
        self.passd = passd
        self.client = passd.client(name)
        self.port = self.client.register()
        self.peer = tcp.connect(("127.0.0.1", self.port))
        request = self.client.request()
        request.accept()
        self.leg = tcp.connect(passd.bound(request.proxy))
        self.control = passd.one("control")
        self.downs = passd.logged("link down")

    def check(self, link=True):
        """All is as before; with link the stream was not lost, either."""
        tcp.joined(self.peer, self.leg)
        assert self.passd.one("control") == self.control
        assert self.port in self.client.ports()
        if link:
            assert self.passd.logged("link down") == self.downs

    def end(self):
        tcp.hang_up(self.peer, self.leg)
        check_log(self.passd)


@pytest.fixture
def linked(fake, launch):
    return launch(fake, fake.people)


@pytest.fixture
def bystander(fake, linked):
    bystander = Bystander(linked)
    yield bystander
    bystander.end()


# XML on the link: what is skipped, and answered.

DEEP = "<a>" * 40 + "</a>" * 40
PREFIXES = "".join(" xmlns:p%d='urn:%d'" % (n, n) for n in range(60))


SKIPPED = {
    "deep": QUERY % DEEP,
    "very deep": QUERY % ("<a>" * 30000 + "</a>" * 30000),
    "wide": QUERY % ("<b/>" * 600),
    "very wide": QUERY % ("<b/>" * 100000),
    "text": QUERY % ("x" * 70000),
    "escaped": QUERY % ("&lt;&amp;" * 20000),
    "cdata": QUERY % ("<![CDATA[" + "]]" * 40000 + "]]>"),
    "prefix": "<x:query xmlns:y='%s'/>" % NS_PASS,
    "prefix inside": QUERY % "<no:expire>5</no:expire>",
    "prefix of an attribute": QUERY % "<a no:b='1'/>",
    "two colons": QUERY % "<a:b:c xmlns:a='urn:a'/>",
    "colon": QUERY % "<:a/>",
    "xml": QUERY % "<a xmlns:xml='urn:no'/>",
    "xmlns": QUERY % "<a xmlns:xmlns='urn:no'/>",
    "attribute twice":
        QUERY % "<a xmlns:b='urn:1' xmlns:c='urn:1' b:x='1' c:x='2'/>",
    "prefixes": QUERY % ("<a%s>" % PREFIXES + "<b%s/></a>" %
                         PREFIXES.replace("p", "q")),
    "attributes": QUERY % ("<a " + " ".join(
        "a%d='%d'" % (n, n) for n in range(65)) + "/>"),
    "name": QUERY % ("<%s/>" % ("n" * 66000)),
    "value": QUERY % ("<a b='%s'/>" % ("v" * 66000)),
}


def test_skipped(fake, bystander):
    """Whoever sent it gets an error; the stream and all others go on."""
    for name, payload in SKIPPED.items():
        mark = bystander.passd.mark()
        fake.send(IQ % payload)
        answer = fake.strays.get(timeout=10)
        assert answer.get("id") == "bad", name
        assert answer.get("type") == "error", name
        assert answer.get("to") == JID and answer.get("from") == COMPONENT
        error = answer.find("{%s}error" % NS_COMPONENT)
        assert error.find("{%s}policy-violation" % NS_STANZAS) is not None
        bystander.passd.wait_log(
            r"skipped stanza=iq from=%s reason=\"[a-z ]+\"$"
            % re.escape(JID), since=mark)
        bystander.check()


def test_at_the_limit(fake, bystander):
    """65536 bytes are taken, one more is not."""
    for size, kind in ((65536, "bad-request"), (65537, "policy-violation")):
        body = "<iq type='set' id='q' from='%s' to='%s'>" % (JID, COMPONENT)
        body += "<query xmlns='%s'><close/>%%s</query></iq>" % NS_PASS
        fake.send(body % ("x" * (size - len(body) + 2)))
        error = fake.strays.get(timeout=10).find("{%s}error" % NS_COMPONENT)
        assert error.find("{%s}%s" % (NS_STANZAS, kind)) is not None, size
    bystander.check()


def test_long_name_does_not_hide_the_sender(fake, bystander):
    """The log of what is skipped says who it was from."""
    fake.send("<%s from='%s' to='%s' a='%s'/>" % (
        "n" * 3000, JID, COMPONENT, "x" * 66000))
    line = bystander.passd.wait_log(r"skipped stanza=n+\.\.\. .*")[0]
    assert value(line, "from") == JID and value(line, "reason")
    bystander.check()


def test_tag_in_many_reads(fake, bystander):
    """24 kB in one tag, a hundred bytes a segment, is taken; and nothing
    waits for what comes behind it."""
    text = ("<iq type='get' id='q' from='%s' to='%s'><ping "
            "xmlns='urn:xmpp:ping' a='%s'/></iq>" % (
                JID, COMPONENT, "x" * 24000))
    for start in range(0, len(text), 100):
        fake.send(text[start:start + 100])
        time.sleep(0.001)
    assert fake.strays.get(timeout=10).get("type") == "result"
    bystander.check()


# What ends the stream.

LAUGHS = "<!DOCTYPE l [<!ENTITY a '%s'>%s]><message>&j;</message>" % (
    "lol" * 10, "".join("<!ENTITY %s '%s'>" % (name, ("&%s;" % before) * 10)
                        for before, name in zip("abcdefghi", "bcdefghij")))


INSIDE, VALUE = "<message>", "<iq><query><a b='"
SKIP = INSIDE + "x" * 70000


@pytest.mark.parametrize("text", [
    LAUGHS, INSIDE + LAUGHS, SKIP + LAUGHS,
    "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
    "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
    INSIDE + "<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1/'> %x;]>",
    INSIDE + "<!ENTITY a 'b'>", SKIP + "<?xml version='1.0'?>",
    SKIP + "<!-- -->", VALUE + "<'/>", SKIP + "<<", INSIDE + "</>"],
    ids=["laughs", "laughs-inside", "laughs-skipped", "system", "external",
         "parameter", "entity", "declaration", "comment", "less", "tags",
         "end"])
def test_ends_the_stream(fake, bystander, text):
    """RFC 6120 11.1, wherever it stands; passd comes back by itself."""
    ends_it(fake, bystander, text)


@pytest.mark.parametrize("text", [
    b"<message>\x00</message>", b"<message a='\x00'/>",
    b"<message>&#0;</message>", b"<message>&#xFFFF;</message>",
    b"<message>&#xD800;</message>", b"<message>&#99999999999;</message>",
    b"<message>\xc0\x80</message>", b"<message>\xed\xa0\x80</message>",
    b"<message>\xf4\x90\x80\x80</message>", b"<m\xff/>",
    b"<message a='\xfe'/>", b"<message a='&undefined;'/>"],
    ids=["nul", "nul-attribute", "ref-0", "ref-ffff", "ref-surrogate",
         "ref-huge", "overlong", "surrogate", "beyond", "name", "attribute",
         "entity"])
def test_bad_characters_end_the_stream(fake, bystander, text):
    ends_it(fake, bystander, text)


def ends_it(fake, bystander, text):
    old, mark = fake.stream, bystander.passd.mark()
    fake.up.clear()
    fake.send(text)
    assert old.ended.wait(10)
    bystander.passd.wait_log(r"link down reason=bad-xml condition=[a-z-]+ ",
                             since=mark)
    assert re.search(rb"<stream:error><[a-z-]+ ", old.raw)
    assert fake.up.wait(20)
    bystander.passd.wait_log(r"link up ", since=mark, timeout=15)
    bystander.check(link=False)


# JIDs, everywhere they are echoed or logged.

def jids():
    return {
        "quotes": "eve@example.test/x'y\"z",
        "markup": "eve@example.test/<a b='c'>&amp;]]>",
        "pairs": "eve@example.test/x port=1 cause=closed jid=alice@a.example",
        "backslash": "eve@example.test/\\040\\",
        "percent": "eve@example.test/%s%n%08x",
        "newline": "eve@example.test/a\\nb\\r",
        "accents": "caf\u00e9@example.test/\u00fcber",
        "combining": "eve@example.test/\u0915\u094d\u0937\u093f",
        "hebrew": "\u05d0\u05d1@example.test/\u05d2\u05d3",
        "arabic": "eve@example.test/\u0645\u0631\u062d\u0628\u0627",
        "emoji": "eve@example.test/\U0001f4f1\U0001f600",
        "private": "\u4e2d\u6587@example.test/\u6f22\u5b57",
        "domain": "eve@xn--bcher-kva.example/x",
        "idn": "eve@b\u00fccher.example/x",
        "literal": "eve@[2001:db8::1]/x",
        "long-resource": "eve@example.test/" + "r" * 1023,
        "long-node": "n" * 1023 + "@example.test/x",
        "long-utf8": "\u00e9" * 511 + "@example.test/" + "\u4e2d" * 341,
        "long-all": "n" * 1023 + "@" + ".".join(["d" * 63] * 15) + "/" +
                    "\u00e9" * 511,
    }


@pytest.mark.limit(60)
def test_jids_everywhere(fake, launch):
    """Result, error, request, notice, answer to a message; and the log."""
    passd = launch(fake, fake.people, count=90, rules=["allow any"],
                   quota={"ports": "40"})
    bystander = Bystander(passd)
    owners = [Owner(fake, passd, name, jid) for name, jid in jids().items()]
    for owner in owners:
        owner.expire()
    for owner in owners:
        owner.told()
        owner.logged()
    bystander.check()
    bystander.end()


class Owner:
    """Somebody with an odd JID: all that is said to him, and of him."""

    def __init__(self, fake, passd, name, jid):
        self.passd, self.name, self.jid = passd, name, jid
        user = fake.user(jid)
        self.client = users.Client(user, passd)
        reply = self.client.query("<close/>")
        assert reply.error.same(400, "modify", "bad-request"), name
        assert reply.element.get("to") == jid
        user.send("<message to='%s' id='m'><body>x</body></message>"
                  % COMPONENT)
        answer = fake.strays.get(timeout=10)
        assert answer.get("to") == jid and answer.get("type") == "error"
        self.port = self.client.register(expire=600)
        peer = tcp.connect(("127.0.0.1", self.port))
        request = self.client.request()
        assert request.to == jid
        request.accept()
        leg = tcp.connect(passd.bound(request.proxy))
        tcp.joined(peer, leg)
        tcp.hang_up(peer, leg)

    def expire(self):
        assert self.client.modify(self.port, "<expire>1</expire>").ok

    def told(self):
        notice = self.client.notice(["expire", "close", "proxy"], self.port,
                                    10)
        assert notice.to == self.jid

    def logged(self):
        lines = [self.passd.wait_log(r"%s port=%d jid=.*" % (
            event, self.port), 10)[0] for event in (
                "registered", "client", "paired", "ended", "changed",
                "closed")]
        domain = self.jid.partition("@")[2].partition("/")[0]
        for line in lines:
            logged = unescape(value(line, "jid"))
            if logged == self.jid:
                continue
            assert len(self.jid) > 500 and "..." in logged, line
            # Whose user it was can still be read.
            assert len(domain) > 500 or "@%s/" % domain in logged, line


NO_JIDS = (
    "eve\u202e@example.test/x", "eve@example.test/a\u202eb",
    "eve@example.test/a\u0085b", "eve@example.test/a\u2028b",
    "eve@example.test/a\ufdd0b", "eve@example.test/a\ue000b",
    "eve@example.test/a\ufff9b", "a\u05d0@example.test/x",
    "e\"ve@example.test/x", "eve@exa mple.test/x", "eve@example.test/a\nb",
    "eve@example.test/a\tb", "eve@example.test/" + "\u00e9" * 512,
    "eve@a..b/x", "eve@x/\u007f")


def test_no_jids(fake, bystander):
    """Prohibited by stringprep, or too long: no port and no answer, and
    nothing in the log that looks like something else."""
    mark = bystander.passd.mark()
    for jid in NO_JIDS:
        fake.send("<iq type='set' id='q' from='%s' to='%s'>%s</iq>" % (
            jid.replace("\"", "&quot;").replace("\n", "&#10;")
            .replace("\t", "&#9;"), COMPONENT, QUERY % ""))
        # A stanza that is skipped is logged, with what its sender says.
        fake.send("<iq type='set' id='q' from='%s' to='%s'>%s</iq>" % (
            jid.replace("\"", "&quot;").replace("\n", "&#10;")
            .replace("\t", "&#9;"), COMPONENT, QUERY % ("x" * 66000)))
        bystander.check()
    assert not bystander.passd.logged("registered", mark)
    assert bystander.passd.logged("skipped stanza=iq", mark) == len(NO_JIDS)
    assert fake.strays.empty()


def test_ids_come_back(fake, bystander):
    """The id of a request is repeated byte by byte."""
    user = fake.user(JID)
    for ident in ("'\"<>&", "\u05d0\u0301\U0001f600", "i" * 4000, " ",
                  "a\u202eb", "x' type='result"):
        assert user.iq_async(COMPONENT, "get", PING, ident=ident)(10).ok
        reply = user.iq_async(COMPONENT, "set", QUERY % "<close/>", ident)(10)
        assert reply.error.code == 400, ident
        bystander.check()


@pytest.mark.parametrize("text, good", [
    ("<expire>\u0661\u0662</expire>", False),
    ("<expire>&#49;0</expire>", True),
    ("<expire><![CDATA[10]]></expire>", True),
    ("<oneshot>\U0001f600</oneshot>", True),
    ("<close/><proxy port='\u0661'>198.51.100.7</proxy>", False),
    ("<close/><proxy port='1'>198.51.100.7\u202e</proxy>", False),
    ("<close/><proxy port='1'>%s</proxy>" % ("1" * 60000), False),
    ("<close/><proxy port='1'><x>198.51.100.7</x></proxy>", False),
    ("<\u00e9l\u00e9ment/>", False)],
    ids=["arabic-digits", "reference", "cdata", "oneshot", "arabic-port",
         "override", "long", "element", "name"])
def test_odd_text_in_requests(fake, bystander, text, good):
    """It is read as what it is, or refused."""
    fake.send(IQ % (QUERY % text))
    answer = fake.strays.get(timeout=10)
    assert (answer.get("type") == "result") == good, answer.attrib
    bystander.check()


# From users of real servers.  What their servers let through is up to them.

RUDE = {
    "deep": QUERY % DEEP,
    "wide": QUERY % ("<b/>" * 3000),
    "huge": QUERY % ("x" * 150000),
    "attributes": QUERY % ("<a " + " ".join(
        "a%d='1'" % n for n in range(200)) + "/>"),
    "namespaces": QUERY % "".join(
        "<e%d xmlns='urn:%d'/>" % (n, n) for n in range(1000)),
    "prefix": "<no:query xmlns='%s'/>" % NS_PASS,
    "dtd": "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "entity": QUERY % "&lol;",
    "comment": QUERY % "<!-- -->",
    "instruction": QUERY % "<?x y?>",
    "control": QUERY % "\x01",
    "nul": QUERY % "&#0;",
    "tags": "</a>",
}


def test_rude_users(service, people):
    """Whatever one user writes, the others' streams and relays go on."""
    bystander = Bystander(service)
    for payload in RUDE.values():
        dave = people("dave", "rude")
        dave.send("<iq type='set' id='rude' to='%s'>%s</iq>" % (
            service.jid, payload))
        bystander.check()
    tcp.hang_up(bystander.peer, bystander.leg)
    check_log(service)
    people("dave", "rude").close()


@pytest.mark.parametrize("resource", [
    "x port=1 cause=closed", "\\040\\\\", "\u05d2\u05d3", "\u0645\u0631",
    "\u0915\u094d\u0937", "%s%n", "r" * 1023, "\u00e9" * 511,
    "'\"><&/@"],
    ids=["pairs", "backslash", "hebrew", "arabic", "combining", "percent",
         "long", "long-utf8", "markup"])
def test_resources_of_real_users(service, resource):
    """Error, result, request and notice come to the very resource."""
    client = service.client("dave", resource)
    service.clients.remove(client)
    try:
        assert client.jid.endswith("/" + resource)
        assert client.query("<close/>").error.code == 400
        port = client.register(expire=600)
        peer = tcp.connect(("127.0.0.1", port))
        request = client.request()
        assert request.to == client.jid
        request.deny()
        assert tcp.ending(peer)
        assert client.modify(port, "<expire>1</expire>").ok
        client.notice(["expire", "close", "proxy"], port, 10)
    finally:
        client.cleanup()
        client.user.close()
    line = service.wait_log(r"closed port=%d jid=.*" % port)[0]
    logged = value(line, "jid")
    assert logged.startswith("dave@example.test/")
    assert unescape(logged) == client.jid or logged.endswith("...")
    check_log(service)
