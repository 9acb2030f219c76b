# SPDX-License-Identifier: ISC
"""An XMPP server as passd sees one, for the benchmark: XEP-0114 and no more.

It accepts one component, answers its pings, and plays a user who registers
ports and accepts whatever comes to them.  Not a test of conformance: the
end-to-end tests do that against real servers.
"""

import hashlib
import queue
import secrets
import socket
import threading
import xml.parsers.expat
from xml.sax.saxutils import quoteattr

COMPONENT = "jabber:component:accept"
PASS = "jabber:iq:pass"


class LinkError(Exception):
    """The component did not do what the benchmark needs."""


class Element:
    """name is "namespace local"; children in order, text joined."""

    def __init__(self, name, attrs):
        self.name = name
        self.attrs = attrs
        self.children = []
        self.text = ""

    def find(self, *path):
        here = self
        for name in path:
            here = next((c for c in here.children if c.name == name), None)
            if here is None:
                return None
        return here


class FakeServer:
    """One listening port; serve() runs in a thread of its own."""

    def __init__(self, secret):
        self.secret = secret
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ready = threading.Event()
        self.stanzas = queue.Queue()    # what is meant for the user
        self.conn = None
        self.component = None
        self._stack = []
        self._lock = threading.Lock()
        self._stream_id = secrets.token_hex(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        # shutdown() wakes a thread in accept() or recv(), close() does not.
        for sock in (self.listener, self.conn):
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self._thread.join(5)
        self.listener.close()
        if self.conn is not None:
            self.conn.close()

    def send(self, text):
        with self._lock:
            self.conn.sendall(text.encode())

    # The thread.

    def _serve(self):
        while True:
            try:
                self.conn, _ = self.listener.accept()
            except OSError:
                return
            self.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stack = []
            parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
            if hasattr(parser, "SetReparseDeferralEnabled"):
                parser.SetReparseDeferralEnabled(False)
            parser.StartElementHandler = self._start
            parser.EndElementHandler = self._end
            parser.CharacterDataHandler = self._text
            try:
                while data := self.conn.recv(65536):
                    parser.Parse(data)
            except (OSError, LinkError, xml.parsers.expat.ExpatError):
                pass
            self.ready.clear()
            self.conn.close()

    def _start(self, name, attrs):
        if not self._stack:
            self.component = attrs.get("to", "")
            self.send("<?xml version='1.0'?><stream:stream xmlns='%s' "
                      "xmlns:stream='http://etherx.jabber.org/streams' "
                      "id='%s' from=%s>" % (COMPONENT, self._stream_id,
                                            quoteattr(self.component)))
        self._stack.append(Element(name, attrs))

    def _text(self, text):
        if len(self._stack) > 1:
            self._stack[-1].text += text

    def _end(self, _name):
        element = self._stack.pop()
        if len(self._stack) > 1:
            self._stack[-1].children.append(element)
        elif len(self._stack) == 1:
            self._stanza(element)

    def _stanza(self, element):
        if element.name == COMPONENT + " handshake":
            want = hashlib.sha1((self._stream_id + self.secret).encode())
            if element.text.strip() != want.hexdigest():
                raise LinkError("bad handshake")
            self.send("<handshake/>")
            self.ready.set()
        elif element.attrs.get("to") == self.component:
            self._loop_back(element)
        else:
            self.stanzas.put(element)

    def _loop_back(self, element):
        """The component pings itself through us, to see that we route."""
        child = "<ping xmlns='urn:xmpp:ping'/>"
        kind = element.attrs.get("type", "")
        self.send("<iq type=%s id=%s from=%s to=%s>%s</iq>" % (
            quoteattr(kind), quoteattr(element.attrs.get("id", "")),
            quoteattr(self.component), quoteattr(self.component),
            child if kind == "get" else ""))


class User:
    """Registers ports and takes its leg of every session."""

    def __init__(self, server, jid):
        self.server = server
        self.jid = jid
        self._next = 0

    def _set(self, body):
        self._next += 1
        ident = "b%d" % self._next
        self.server.send(
            "<iq type='set' id='%s' from=%s to=%s><query xmlns='%s'>%s"
            "</query></iq>" % (ident, quoteattr(self.jid),
                               quoteattr(self.server.component), PASS, body))
        return ident

    def next_stanza(self, timeout=10):
        try:
            return self.server.stanzas.get(timeout=timeout)
        except queue.Empty:
            raise LinkError("nothing from passd in %d s" % timeout) from None

    def ask_port(self):
        """Send a registration; the result comes as a stanza of that id."""
        return self._set("")

    def ask_close(self, port):
        return self._set("<close/><proxy port='%d'>127.0.0.1</proxy>" % port)

    @staticmethod
    def granted(stanza):
        server = stanza.find(PASS + " query", PASS + " server")
        if stanza.attrs.get("type") != "result" or server is None:
            error = stanza.find(COMPONENT + " error")
            raise LinkError("registration refused: %s" % (
                [c.name for c in error.children] if error else stanza.attrs))
        return int(server.attrs["port"])

    def wait_for(self, idents):
        """The answers to ${idents}, by id; other stanzas are dropped."""
        left, found = set(idents), {}
        while left:
            stanza = self.next_stanza()
            ident = stanza.attrs.get("id")
            if ident in left and stanza.attrs.get("type") != "set":
                left.remove(ident)
                found[ident] = stanza
        return found

    def register(self, count):
        idents = [self.ask_port() for _ in range(count)]
        found = self.wait_for(idents)
        return [self.granted(found[i]) for i in idents]

    def close_ports(self, ports):
        self.wait_for([self.ask_close(p) for p in ports])

    def accept_next(self):
        """Accept the next request; return the owner's connected leg."""
        while True:
            stanza = self.next_stanza()
            proxy = stanza.find(PASS + " query", PASS + " proxy")
            client = stanza.find(PASS + " query", PASS + " client")
            if stanza.attrs.get("type") == "set" and client is not None:
                break
        self.server.send("<iq type='result' id=%s from=%s to=%s/>" % (
            quoteattr(stanza.attrs["id"]), quoteattr(self.jid),
            quoteattr(self.server.component)))
        return socket.create_connection(
            (proxy.text.strip(), int(proxy.attrs["port"])), 10)
