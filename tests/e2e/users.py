# SPDX-License-Identifier: ISC
"""XMPP users: slixmpp sessions in a background thread, used synchronously.

A User is one session on a server.  IQs of and to PASS services are handled
here, raw: slixmpp never answers one by itself.
"""

import asyncio
import itertools
import queue
import threading
import time
import uuid
import warnings
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import slixmpp
    from slixmpp.xmlstream.handler import Callback
    from slixmpp.xmlstream.matcher.base import MatcherBase

NS_PASS = "jabber:iq:pass"
NS_PASSD = "urn:x-passd:1"
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NS_CLIENT = "jabber:client"
PATIENCE = 12           # seconds for what has to come, on a busy machine
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def local(element):
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def namespace(element):
    return element.tag[1:].partition("}")[0] if "}" in element.tag else ""


class Loop:
    """An asyncio loop in a thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever,
                                       daemon=True)
        self.thread.start()

    def run(self, function, *args):
        """Call a function in the loop's thread and return its result."""
        async def call():
            return function(*args)
        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def close(self):
        async def cancel():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
        asyncio.run_coroutine_threadsafe(cancel(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


class Error:
    """The <error/> of a stanza."""

    def __init__(self, element):
        self.code = int(element.get("code", 0))
        self.type = element.get("type")
        self.text = None
        self.condition = None
        self.own = None         # the child in the project's namespace
        for child in element:
            if namespace(child) == NS_PASSD:
                self.own = child
            elif namespace(child) != NS_STANZAS:
                continue
            elif local(child) == "text":
                self.text = child.text
            else:
                self.condition = local(child)

    def __repr__(self):
        return "<error %s %s %s %r own=%s>" % (
            self.code, self.type, self.condition, self.text,
            None if self.own is None else local(self.own))

    def same(self, code, kind, condition):
        return (self.code, self.type, self.condition) == (
            code, kind, condition)


class Reply:
    """An IQ of type result or error."""

    def __init__(self, element):
        self.element = element
        self.id = element.get("id")
        self.type = element.get("type")
        self.sender = element.get("from")
        self.children = [c for c in element if local(c) != "error"]
        self.query = self.children[0] if self.children else None
        error = [c for c in element if local(c) == "error"]
        self.error = Error(error[0]) if error else None

    @property
    def ok(self):
        return self.type == "result"

    def __repr__(self):
        return ET.tostring(self.element, encoding="unicode")

    def entities(self, name):
        """The (address, port) of each <server/>, <proxy/>, <client/>."""
        return [(e.text, int(e.get("port", 0)))
                for e in self.query if e.tag == "{%s}%s" % (NS_PASS, name)]

    def text(self, name):
        """The text of a child of the query, None without that child."""
        return self.query.findtext("{%s}%s" % (NS_PASS, name))

    def own(self, name):
        return self.query.find("{%s}%s" % (NS_PASSD, name))


class Everything(MatcherBase):
    """Matches the IQs that a User deals with itself."""

    def __init__(self, user):
        super().__init__(None)
        self.user = user

    def match(self, stanza):
        return self.user.wants(stanza.xml)


class User:
    """One session.  Connects at once."""

    counter = itertools.count(1)
    loop = None             # a fake one has none

    def __init__(self, loop, server, domain, name, password, resource="home"):
        self.loop = loop
        self.server = server
        self.bare = "%s@%s" % (name, domain)
        self.resource = resource
        self.password = password
        self.lock = threading.Lock()
        self.waiting = {}       # id of our request: its answer's queue
        self.inbox = {}         # service: queue of its IQ sets
        self.others = queue.Queue()     # messages and presence
        self.connect()

    def connect(self):
        self.started = threading.Event()
        self.ended = threading.Event()
        self.failure = None
        self.loop.run(self._connect)
        if not self.started.wait(10):
            raise RuntimeError("%s cannot log in: %s" % (
                self.bare, self.failure))
        self.jid = str(self.xmpp.boundjid)

    def _connect(self):
        asyncio.set_event_loop(self.loop.loop)
        jid = slixmpp.JID(self.bare)
        jid.resource = self.resource
        self.xmpp = slixmpp.ClientXMPP(
            jid, self.password, sasl_mech="PLAIN",
            plugin_config={"feature_mechanisms": {"unencrypted_plain": True}})
        self.xmpp.loop = self.loop.loop
        self.xmpp.register_handler(Callback(
            "user", Everything(self), lambda stanza: self.take(stanza.xml)))
        self.xmpp.add_event_handler("session_start", self._session)
        self.xmpp.add_event_handler("failed_all_auth", self._failed)
        # An older session of ours may end later than this one begins.
        ended = self.ended
        self.xmpp.add_event_handler("disconnected", lambda _: ended.set())
        self.open()

    def open(self):
        self.xmpp.connect(("127.0.0.1", self.server.c2s),
                          force_starttls=False, disable_starttls=True)

    def _failed(self, event):
        self.failure = "authentication refused"

    def _session(self, event):
        self.xmpp.send_raw("<presence/>")
        self.started.set()

    def close(self):
        """Log out properly."""
        if not self.ended.is_set():
            self.loop.run(self.xmpp.disconnect)
            assert self.ended.wait(10), "%s cannot log out" % self.jid

    def cut(self):
        """Lose the TCP connection."""
        self.loop.run(self.xmpp.abort)
        self.ended.wait(5)

    def again(self):
        """Log in anew after close, cut or a loss of the server."""
        self.close()
        end = time.monotonic() + 20
        while True:
            try:
                return self.connect()
            except RuntimeError:
                if time.monotonic() > end:
                    raise

    # In the loop's thread.

    def wants(self, element):
        if local(element) != "iq":
            return False
        if element.get("type") in ("result", "error"):
            return element.get("id") in self.waiting
        return element.get("from") in self.inbox

    def take(self, element):
        if element.get("type") in ("result", "error"):
            self.waiting[element.get("id")].put(element)
        else:
            self.inbox[element.get("from")].put(element)

    # In the test's thread.

    def get(self, source, timeout):
        """Take from a queue that the loop fills.  The loop is nudged: it was
        seen asleep over a stanza that was to be sent."""
        end = time.monotonic() + timeout
        while True:
            left = max(0, end - time.monotonic())
            try:
                return source.get(timeout=min(left, 0.5))
            except queue.Empty:
                if left <= 0.5:
                    raise
            if self.loop:
                self.loop.loop.call_soon_threadsafe(lambda: None)

    def send(self, text):
        """Send a stanza as it is."""
        self.loop.loop.call_soon_threadsafe(self.xmpp.send_raw, text)

    def iq_async(self, to, kind, payload, ident=None, lang=None):
        """Send an IQ; return a function that waits for its Reply."""
        ident = ident or "t%d-%s" % (next(self.counter), uuid.uuid4().hex[:8])
        answer = self.waiting[ident] = queue.Queue()
        self.send("<iq type=%s id=%s to=%s%s>%s</iq>" % (
            quoteattr(kind), quoteattr(ident), quoteattr(to),
            " xml:lang='%s'" % lang if lang else "", payload))

        def wait(timeout=PATIENCE):
            try:
                return Reply(self.get(answer, timeout))
            except queue.Empty:
                raise AssertionError("no answer to %s" % payload) from None
            finally:
                del self.waiting[ident]
        return wait

    def iq(self, to, kind, payload, timeout=PATIENCE, lang=None):
        """Send an IQ and return its Reply."""
        return self.iq_async(to, kind, payload, lang=lang)(timeout)

    def subscribe(self, service):
        """Start with an empty queue of the IQ sets of a service."""
        self.inbox[service] = queue.Queue()


class Incoming:
    """An IQ set from the service: a request or a notification."""

    def __init__(self, client, element):
        self.client_session = client
        self.element = element
        self.id = element.get("id")
        self.sender = element.get("from")
        self.to = element.get("to")
        children = list(element)
        assert len(children) == 1, "not one child: %r" % self
        self.query = children[0]
        assert self.query.tag == "{%s}query" % NS_PASS, repr(self)
        assert element.get("type") == "set", repr(self)
        self.names = [local(child) for child in self.query]

    def __repr__(self):
        return ET.tostring(self.element, encoding="unicode")

    def entity(self, name):
        found = self.query.findall("{%s}%s" % (NS_PASS, name))
        assert len(found) == 1, repr(self)
        return found[0].text, int(found[0].get("port"))

    @property
    def peer(self):
        return self.entity("client")

    @property
    def proxy(self):
        return self.entity("proxy")

    @property
    def is_request(self):
        return "client" in self.names

    def answer(self, kind, inner, by=None, ident=None):
        """Answer, by another session or with another id if told so."""
        user = (by or self.client_session).user
        user.send("<iq type='%s' id=%s to=%s>%s</iq>" % (
            kind, quoteattr(ident or self.id), quoteattr(self.sender), inner))

    def accept(self, inner="", by=None, ident=None):
        """Answer with a result whose query holds inner."""
        self.answer("result", "<query xmlns='%s'>%s</query>" % (
            NS_PASS, inner), by, ident)

    def deny(self, by=None, ident=None):
        """Answer as XEP-0003 5.2 does."""
        peer, proxy = self.peer, self.proxy
        self.answer("error", (
            "<query xmlns='%s'><client port='%d'>%s</client>"
            "<proxy port='%d'>%s</proxy></query>"
            "<error code='401' type='auth'><not-authorized xmlns='%s'/>"
            "</error>") % (NS_PASS, peer[1], peer[0], proxy[1], proxy[0],
                           NS_STANZAS), by, ident)


class Client:
    """A User as it deals with one passd."""

    def __init__(self, user, daemon):
        self.user = user
        self.daemon = daemon
        self.service = daemon.jid
        user.subscribe(self.service)

    @property
    def jid(self):
        return self.user.jid

    def query(self, inner="", kind="set", timeout=PATIENCE):
        """Ask the service; return its Reply."""
        return self.user.iq(self.service, kind, "<query xmlns='%s'>%s</query>"
                            % (NS_PASS, inner), timeout)

    def register(self, expire=None, oneshot=False, extra="", timeout=PATIENCE):
        """Register a port and return its number."""
        inner = extra
        if expire is not None:
            inner += "<expire>%s</expire>" % expire
        if oneshot:
            inner += "<oneshot/>"
        reply = self.query(inner, timeout=timeout)
        assert reply.ok, repr(reply)
        return reply.entities("server")[0][1]

    def proxy_xml(self, port, address=None):
        return "<proxy port='%s'>%s</proxy>" % (
            port, escape(address or self.daemon.advertise[0]))

    def close_port(self, port, address=None):
        return self.query("<close/>" + self.proxy_xml(port, address))

    def modify(self, port, inner):
        return self.query(inner + self.proxy_xml(port))

    def ports(self):
        """The ports that the service says are ours."""
        reply = self.query(kind="get")
        assert reply.ok, repr(reply)
        return {port for _, port in reply.entities("server")}

    def next(self, timeout=PATIENCE):
        """The next IQ set from the service."""
        try:
            element = self.user.get(self.user.inbox[self.service], timeout)
        except queue.Empty:
            raise AssertionError("%s heard nothing from %s" % (
                self.jid, self.service)) from None
        return Incoming(self, element)

    def request(self, timeout=PATIENCE):
        """The next IQ set, which must be a request."""
        incoming = self.next(timeout)
        assert incoming.is_request, repr(incoming)
        return incoming

    def notice(self, names, port, timeout=PATIENCE):
        """The next IQ set, which must be that notification; answer it."""
        incoming = self.next(timeout)
        assert incoming.names == names, repr(incoming)
        assert incoming.proxy == (self.daemon.advertise[0], port), \
            repr(incoming)
        incoming.accept()
        return incoming

    def silent(self, seconds=0.3):
        """Check that nothing comes from the service for a while."""
        try:
            element = self.user.inbox[self.service].get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError("unexpected: " + ET.tostring(
            element, encoding="unicode"))

    def cleanup(self):
        """Close every port of ours and forget what came."""
        for port in self.ports():
            self.close_port(port)
        self.user.subscribe(self.service)
