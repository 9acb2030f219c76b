# SPDX-License-Identifier: ISC
"""An XMPP server as only a test would write it: XEP-0114 towards passd, and
users that are as rude as a test wants them."""

import contextlib
import hashlib
import queue
import re
import socket
import threading
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

import servers
import users

NS_COMPONENT = "jabber:component:accept"
NS_STREAMS = "http://etherx.jabber.org/streams"
NS_XSTREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
NS_PING = "urn:xmpp:ping"
COMPONENT = servers.COMPONENTS[1]


class Stream:
    """One connection from passd."""

    def __init__(self, sock):
        self.sock = sock
        self.header = queue.Queue()     # attributes of the stream header
        self.items = queue.Queue()      # stanzas; None is the end
        self.sink = self.items.put      # who gets the stanzas
        self.ended = threading.Event()  # TCP or stream is at its end
        self.raw = b""
        self.hears = threading.Event()  # cleared: it does not read
        self.hears.set()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        parser = ET.XMLPullParser(["start", "end"])
        depth = 0
        try:
            while data := self.hear():
                self.raw += data
                parser.feed(data)
                if hasattr(parser, "flush"):
                    parser.flush()
                for event, element in parser.read_events():
                    if event == "start":
                        depth += 1
                        if depth == 1:
                            self.header.put(element)
                        continue
                    depth -= 1
                    if depth == 1:
                        self.sink(element)
                    elif depth == 0:
                        self.send("</stream:stream>")
                        self.shut()
        except (OSError, ET.ParseError):
            pass
        self.ended.set()
        self.items.put(None)

    def hear(self):
        self.hears.wait()
        data = self.sock.recv(65536)
        self.hears.wait()
        return data

    @contextlib.contextmanager
    def deaf(self):
        """A server that does not read for a while."""
        self.hears.clear()
        try:
            yield
        finally:
            self.hears.set()

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        try:
            self.sock.sendall(data)
        except OSError:
            pass                # the test sees that the stream has ended

    def next(self, timeout=5):
        """The next stanza; None at the end of the stream."""
        return self.items.get(timeout=timeout)

    @staticmethod
    def head(ident="abc", sender=COMPONENT):
        return ("<?xml version='1.0'?><stream:stream xmlns='%s'"
                " xmlns:stream='%s' from='%s' id=%s xml:lang='en'>") % (
                    NS_COMPONENT, NS_STREAMS, sender, quoteattr(ident))

    def login(self, ident="abc", head=None):
        """The usual start of a stream; check what passd sends."""
        header = self.header.get(timeout=5)
        assert header.tag == "{%s}stream" % NS_STREAMS
        assert header.attrib == {"to": COMPONENT}, header.attrib
        self.send(head or self.head(ident))
        handshake = self.next()
        assert handshake is not None, "no handshake"
        assert handshake.tag == "{%s}handshake" % NS_COMPONENT
        wanted = hashlib.sha1((ident + servers.SECRET).encode()).hexdigest()
        assert handshake.text == wanted, handshake.text
        self.send("<handshake/>")

    def error(self, condition, text=None):
        """End the stream with an error."""
        more = "" if text is None else "<text xmlns='%s'>%s</text>" % (
            NS_XSTREAMS, text)
        self.send("<stream:error><%s xmlns='%s'/>%s</stream:error>"
                  "</stream:stream>" % (condition, NS_XSTREAMS, more))
        self.shut()

    def shut(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.shut()
        self.sock.close()


class FakeUser(users.User):
    """Somebody whose stanzas carry whatever the test wants."""

    def __init__(self, server, jid):    # no session to make
        self.server = server
        self.jid = jid
        self.waiting = {}
        self.inbox = {}
        self.others = queue.Queue()
        self.ended = threading.Event()

    def send(self, text):
        """Send a stanza with our address in its from."""
        self.server.send(re.sub(r"^<(\w+)", lambda m: "<%s from=%s" % (
            m[1], quoteattr(self.jid)), text, count=1))

    def close(self):
        pass


class FakeServer:
    """Listens; by default it logs every connection in and routes stanzas
    to its FakeUsers."""

    def __init__(self, port):
        self.component = port
        self.manual = False             # the test takes the connections
        self.answer_pings = True
        self.users = {}
        self.strays = queue.Queue()     # stanzas to nobody we know
        self.pings = queue.Queue()
        self.streams = queue.Queue()    # all of them, in manual mode
        self.stream = None
        self.up = threading.Event()
        self.errors = []
        self.opened = []
        self.listener = None
        self.listen()

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.component))
        threading.Thread(target=self.accept_all, args=(self.listener,),
                         daemon=True).start()

    def accept_all(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            stream = Stream(sock)
            self.opened.append(stream)
            if self.manual:
                self.streams.put(stream)
                continue
            try:
                stream.login()
            except (AssertionError, queue.Empty) as error:
                self.errors.append(error)
                continue
            self.use(stream)

    def use(self, stream):
        """Route the stanzas of a stream that is logged in."""
        self.stream = stream
        stream.sink = self.route
        while True:             # what came before
            try:
                element = stream.items.get_nowait()
            except queue.Empty:
                break
            if element is not None:
                self.route(element)
        self.up.set()

    def accept(self, timeout=5):
        """In manual mode: the next connection."""
        return self.streams.get(timeout=timeout)

    def send(self, text):
        self.stream.send(text)

    def route(self, element):
        to = element.get("to")
        if to == COMPONENT and element.find("{%s}ping" % NS_PING) is not None:
            self.pings.put(element)
            if self.answer_pings:
                self.send("<iq type='result' id=%s from='%s' to='%s'/>" % (
                    quoteattr(element.get("id")), COMPONENT, COMPONENT))
            return
        user = self.users.get(to)
        if user is not None and user.wants(element):
            user.take(element)
        else:
            self.strays.put(element)

    def user(self, jid):
        """The user of that full JID."""
        if jid not in self.users:
            self.users[jid] = FakeUser(self, jid)
        return self.users[jid]

    def people(self, name, resource="home"):
        return self.user("%s@%s/%s" % (name, servers.DOMAIN, resource))

    def stop_listening(self):
        if self.listener.fileno() != -1:
            # A blocked accept() keeps the socket alive; shutdown wakes it.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()

    def close(self):
        self.stop_listening()
        for stream in self.opened:
            stream.close()
        assert not self.errors, self.errors
