#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The two users of etc/try.sh: what a client of passd has to do, in one page.

    try_client.py ... send FILE       the owner of the port, behind NAT:
        registers a port (XEP-0003), tells the other by XMPP where it is, is
        asked by passd about whoever connects, agrees, and connects outwards
    try_client.py ... receive FILE    anybody: connects to the port

The receiver needs XMPP only to be told the port; any program that can open
a TCP connection will do.  TLS is left out because the try-out's server is
private and on loopback; do not copy that.
"""

import argparse
import asyncio
import hashlib
import logging
import re
import socket
import sys
import time
import warnings
import xml.etree.ElementTree as ET

logging.basicConfig(level=logging.ERROR)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import slixmpp
    from slixmpp.xmlstream.handler import CoroutineCallback
    from slixmpp.xmlstream.matcher import StanzaPath
    from slixmpp.xmlstream import ElementBase, register_stanza_plugin

NS = "jabber:iq:pass"
NS_PASSD = "urn:x-passd:1"      # passd's extensions; nobody has to know them
CHUNK = 1 << 20


class Query(ElementBase):
    """<query xmlns='jabber:iq:pass'/>, the payload of every IQ here."""
    name, namespace, plugin_attrib = "query", NS, "pass"


register_stanza_plugin(slixmpp.Iq, Query)


def child(iq, name):
    """A child of the query: (text, port), or None if there is none."""
    found = iq["pass"].xml.find("{%s}%s" % (NS, name))
    if found is None:
        return None
    return (found.text or "").strip(), int(found.get("port", 0))


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def describe(size, seconds):
    if size < 1e6:
        return "%d bytes" % size
    return "%.1f MB in %.2f s: %.0f MB/s" % (
        size / 1e6, seconds, size / 1e6 / seconds)


class User(slixmpp.ClientXMPP):
    """A session that is online; subclasses say what happens then."""

    def __init__(self, options):
        super().__init__(options.jid, options.password)
        self.options = options
        self.done = self.loop.create_future()
        self["feature_mechanisms"].unencrypted_scram = True
        self["feature_mechanisms"].unencrypted_plain = True
        self.add_event_handler("session_start", self.start)
        self.add_event_handler("failed_all_auth",
                               lambda _: self.fail("wrong password"))
        self.add_event_handler("disconnected",
                               lambda _: self.fail("disconnected"))

    def say(self, text):
        print("%-6s %s" % (self.boundjid.user + ":", text), flush=True)

    def fail(self, text):
        if not self.done.done():
            self.done.set_exception(RuntimeError(text))

    async def start(self, _):
        self.send_presence()
        self.say("online as %s" % self.boundjid.full)
        try:
            await self.main()
        except slixmpp.exceptions.IqError as error:
            self.fail("refused: %s %s" % (
                error.iq["error"]["condition"], error.iq["error"]["text"]))
        except Exception as error:  # noqa: whatever it is, the user sees it
            self.fail("%s: %s" % (type(error).__name__, error))


class Sender(User):
    """The owner of the port."""

    async def main(self):
        options = self.options
        self.register_handler(CoroutineCallback(
            "pass", StanzaPath("iq@type=set/pass"), self.on_request))
        address, port = await self.register_port()
        digest = await self.loop.run_in_executor(None, sha256, options.file)
        self.say("my file's SHA-256 is %s" % digest)
        self.say("telling %s by XMPP where to connect" % options.to)
        self.send_message(mto=options.to, mtype="chat", mbody=(
            "The file waits for you at %s port %d, SHA-256 %s"
            % (address, port, digest)))

    async def register_port(self):
        """Ask for a port: ten minutes, for one connection."""
        iq = self.make_iq_set(ito=self.options.service)
        query = iq["pass"].xml
        ET.SubElement(query, "{%s}expire" % NS).text = "600"
        ET.SubElement(query, "{%s}oneshot" % NS)
        reply = await iq.send(timeout=10)
        address, port = child(reply, "server")
        self.say("registered: %s listens for me on %s port %d"
                 % (self.options.service, address, port))
        return address, port

    async def on_request(self, iq):
        """passd asks about a client, or says that the port was closed."""
        if iq["from"].bare != self.options.service:
            self.say("ignored a request from %s" % iq["from"])
            error = iq.reply()
            error.error()
            error["error"]["condition"] = "service-unavailable"
            error.send()
            return
        if child(iq, "close") is not None:
            iq.reply().send()
            self.say("passd has closed the port: its one session began")
            return
        peer, proxy = child(iq, "client"), child(iq, "proxy")
        self.say("incoming request: %s port %d wants to connect" % peer)
        answer = iq.reply()     # any result means yes, any error means no
        answer.send()
        self.say("accepted; connecting outwards to %s port %d" % proxy)
        try:
            size, seconds = await self.loop.run_in_executor(
                None, self.transfer, proxy)
        except OSError as error:
            self.fail("sending failed: %s" % error)
            return
        self.say("sent " + describe(size, seconds))
        self.done.set_result(0)

    def transfer(self, address):
        with socket.create_connection(address, timeout=30) as sock, \
                open(self.options.file, "rb") as file:
            began = time.monotonic()
            size = sock.sendfile(file)
            sock.shutdown(socket.SHUT_WR)
            # The other side's end of stream: it has read everything.
            while sock.recv(CHUNK):
                pass
            return size, time.monotonic() - began


class Receiver(User):
    """Whoever connects to the port."""

    async def main(self):
        self.add_event_handler("message", self.on_message)

    async def on_message(self, message):
        found = re.search(r" at (\S+) port (\d+), SHA-256 ([0-9a-f]{64})",
                          message["body"])
        if found is None or self.done.done():
            return
        address, port, digest = found[1], int(found[2]), found[3]
        self.say("%s says: connect to %s port %d"
                 % (message["from"].bare, address, port))
        try:
            size, seconds = await self.loop.run_in_executor(
                None, self.transfer, (address, port))
        except OSError as error:
            self.fail("receiving failed: %s" % error)
            return
        self.say("received " + describe(size, seconds))
        mine = await self.loop.run_in_executor(
            None, sha256, self.options.file)
        self.say("its SHA-256 here is    %s" % mine)
        self.done.set_result(0 if mine == digest else 1)

    def transfer(self, address):
        buffer = memoryview(bytearray(CHUNK))
        size, began = 0, None
        with socket.create_connection(address, timeout=30) as sock, \
                open(self.options.file, "wb", buffering=0) as file:
            self.say("connected from %s port %d" % sock.getsockname()[:2])
            while count := sock.recv_into(buffer):
                began = began or time.monotonic()   # the first byte
                file.write(buffer[:count])
                size += count
        return size, time.monotonic() - (began or time.monotonic())


async def leave(user):
    """Log out, and end what the library has left running."""
    user.disconnect()
    await asyncio.sleep(0.2)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def host_port(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jid", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--server", required=True, type=host_port,
                        metavar="HOST:PORT")
    parser.add_argument("--service", help="JID of passd (send)")
    parser.add_argument("--to", help="JID of the receiver (send)")
    parser.add_argument("--timeout", type=int, default=300,
                        metavar="SECONDS")
    parser.add_argument("action", choices=("send", "receive"))
    parser.add_argument("file")
    options = parser.parse_args()
    if options.action == "send" and not (options.service and options.to):
        parser.error("send needs --service and --to")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    user = (Sender if options.action == "send" else Receiver)(options)
    user.connect(options.server, disable_starttls=True)
    try:
        status = loop.run_until_complete(
            asyncio.wait_for(user.done, options.timeout))
    except asyncio.TimeoutError:
        user.say("nothing happened for %d s" % options.timeout)
        return 1
    except RuntimeError as error:
        user.say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    loop.run_until_complete(leave(user))
    return status


if __name__ == "__main__":
    sys.exit(main())
