# SPDX-License-Identifier: ISC
"""passcat send and receive: what arrives, what is resumed, and who cannot
spoil it."""

import contextlib
import hashlib
import os
import queue
import re
import signal
import socket
import tempfile
import threading
import time
import xml.etree.ElementTree as ET

import pytest

import passcat
import servers
import tcp
import users
from test_passcat import Terminal

DONE, USAGE, REFUSED, LOGIN, SERVICE, TIMEOUT, PEER = range(7)
ALICE, BOB, CAROL = ("%s@%s" % (name, servers.DOMAIN)
                     for name in ("alice", "bob", "carol"))
NS_OOB = "jabber:iq:oob"
MIB = 1 << 20


def until(condition, timeout=15):
    """Wait until it holds; return whether it does."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def words(one):
    """All that a passcat has said, events included."""
    return one.text() + one.output.decode("utf-8", "replace")


# Files.

def make_file(path, size, seed=1):
    """A file of that size, quickly, and no two MiB of it the same."""
    block = hashlib.shake_128(b"%d" % seed).digest(MIB)
    with open(path, "wb") as file:
        for at in range(0, size, MIB):
            head = b"%016d" % at
            file.write((head + block[len(head):])[:size - at])


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_tree(path, count):
    """A directory of files with odd names; some are nested, one is empty."""
    odd = [b"plain", b"with space", b"-rf", b"two\nlines", b"tab\there",
           b"\x1b[31mred\x1b[0m", b"bell\x07", b"quote'\"`", b"$(reboot)",
           b"back\\slash", b"*", b"~", b".hidden", b"...", b"\xff\xfe\x80",
           "ünïcödé €".encode(), "\u202egpj.exe".encode(), b"x" * 255,
           "€".encode() * 85, b"a:b|c<d>e?"]
    root = os.fsencode(path)
    for name in (b"", b"/empty", b"/deep", b"/deep/er\n", b"/deep/er\n/est"):
        os.mkdir(root + name)
    for i in range(count):
        where = (b"", b"/deep", b"/deep/er\n", b"/deep/er\n/est")[i % 4]
        name = odd[i] if i < len(odd) else b"%d %s" % (
            i, odd[i % len(odd)][:200])
        full = root + where + b"/" + name
        with open(full, "wb") as file:
            file.write(hashlib.shake_128(name).digest(i * 37 % 9000))
        os.utime(full, (1e9, 1e9 + i))
        os.chmod(full, 0o755 if i % 10 == 0 else 0o644)


def tree(path):
    """What a directory holds: names, kinds, contents, times."""
    root = os.fsencode(path)
    found = {}
    for where, dirs, files in os.walk(root):
        for name in dirs:
            found[os.path.relpath(os.path.join(where, name), root)] = "dir"
        for name in files:
            full = os.path.join(where, name)
            status = os.lstat(full)
            with open(full, "rb") as file:
                found[os.path.relpath(full, root)] = (
                    file.read(), status.st_mtime_ns,
                    bool(status.st_mode & 0o100))
    return found


@pytest.fixture
def place(cat):
    """Two directories, for what is sent and for what is received."""
    for name in ("from", "to"):
        (cat.dir / name).mkdir()
    return cat.dir


@pytest.fixture
def big():
    """A directory in memory, for what is large."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="passcat-", dir=base) as path:
        yield path


def give(cat, names, to, *options, user="alice", **more):
    return cat.start("send", *options, *map(str, names), to, user=user,
                     **more)


def take(cat, directory, *options, user="bob", **more):
    new = cat.start("receive", *options, str(directory), user=user, **more)
    new.jid = new.event("waiting")["jid"]
    return new


def both(cat, names, directory, timeout=25, service=(), to=None):
    """Alice sends to Bob, who waits for her; both go through.  By his full
    address, which saves the search, unless told otherwise."""
    receiver = take(cat, directory, "--from", ALICE)
    sender = give(cat, names, to or receiver.jid, *service)
    assert sender.wait(timeout) == DONE, words(sender)
    assert receiver.wait(timeout) == DONE, words(receiver)
    return sender, receiver


# What arrives.

def test_file(cat, place):
    """A file to a person's bare address, who has named the sender."""
    make_file(place / "from" / "report", 3 * MIB + 17)
    os.utime(place / "from" / "report", (1e9, 1234567890))
    before = cat.ports()
    sender, receiver = both(cat, [place / "from" / "report"], place / "to",
                            to=BOB)
    arrived = place / "to" / "report"
    assert digest(arrived) == digest(place / "from" / "report")
    assert arrived.stat().st_mode & 0o7777 == 0o600
    assert arrived.stat().st_mtime == 1234567890
    assert os.listdir(place / "to") == ["report"]
    assert receiver.event("offer")["bytes"] == 3 * MIB + 17
    assert receiver.event("done")["files"] == 1
    assert sender.event("proven")["peer"] == "127.0.0.1"
    assert sender.event("done")["moved"] == 3 * MIB + 17
    assert cat.ports() == before


@pytest.mark.limit(60)
def test_sender_first(cat, place, middle):
    """The sender waits until a passcat receives; another client does not."""
    make_file(place / "from" / "x", 1000)
    sender = cat.start("send", str(place / "from" / "x"), middle.bare,
                       json=False)
    assert until(lambda: "passcat receive --from " + ALICE in sender.text())
    receiver = take(cat, place / "to", "--from", ALICE, user="dave")
    assert sender.wait(25) == DONE, sender.text()
    assert receiver.wait() == DONE
    assert middle.offers.empty()
    assert os.listdir(place / "to") == ["x"]


def test_directory(cat, place):
    """1,000 files with odd names, and again: nothing is sent twice."""
    make_tree(place / "from" / "tree", 1000)
    both(cat, [place / "from" / "tree"], place / "to")
    assert tree(place / "to" / "tree") == tree(place / "from" / "tree")
    assert os.listdir(place / "to") == ["tree"]
    sender, _ = both(cat, [place / "from" / "tree"], place / "to")
    assert sender.event("done")["moved"] == 0


def test_several(cat, place):
    """Files and directories at once, and what cannot be sent."""
    make_file(place / "from" / "a", 100)
    make_tree(place / "from" / "tree", 30)
    os.symlink("/etc/passwd", place / "from" / "tree" / "link")
    os.mkfifo(place / "from" / "tree" / "pipe")
    sender, _ = both(cat, [place / "from" / "a", place / "from" / "tree"],
                     place / "to")
    os.unlink(place / "from" / "tree" / "link")
    os.unlink(place / "from" / "tree" / "pipe")
    assert tree(place / "to") == tree(place / "from")
    assert {event["path"] for event in sender.seen
            if event["event"] == "skipped"} <= {"tree/link", "tree/pipe"}


def test_names_are_shown_safely(cat, place):
    """Nothing that a sender calls his files steers the terminal."""
    name = b"\x1b]0;owned\x07\x1b[2J\xe2\x80\xae"
    with open(os.fsencode(place / "from") + b"/" + name, "wb"):
        pass
    receiver = take(cat, place / "to", "--from", ALICE)
    plain = cat.start("send", os.fsencode(place / "from") + b"/" + name,
                      receiver.jid, json=False)
    assert plain.wait() == DONE
    assert receiver.wait() == DONE
    for output in (plain.errors, plain.output, receiver.errors):
        assert b"\x1b" not in output and b"\x07" not in output
        assert b"\xe2\x80\xae" not in output
    assert b"\\033]0;owned\\007" in plain.errors


def test_nothing_is_overwritten(cat, place):
    make_file(place / "from" / "x", 1000, 1)
    make_file(place / "to" / "x", 1000, 2)
    was = digest(place / "to" / "x")
    receiver = take(cat, place / "to", "--from", ALICE)
    sender = give(cat, [place / "from" / "x"], receiver.jid)
    assert sender.wait() == REFUSED
    assert receiver.wait() == REFUSED
    assert "overwritten" in sender.event("skipped")["why"]
    assert digest(place / "to" / "x") == was
    assert os.listdir(place / "to") == ["x"]


def test_full_address(cat, place):
    """Who gives his full address needs to be found by nobody."""
    make_file(place / "from" / "x", 1000)
    receiver = take(cat, place / "to", "--yes")
    sender = give(cat, [place / "from" / "x"], receiver.jid)
    assert sender.wait() == DONE
    assert receiver.wait() == DONE


def test_usage(cat, place):
    make_file(place / "from" / "x", 10)
    for arguments, text in (
            (["send", str(place / "nothing"), BOB], "No such file"),
            (["send", BOB], "usage"),
            (["receive", str(place / "nothing")], "No such file"),
            (["receive", str(place / "from" / "x")], "Not a directory"),
            (["receive"], "no terminal")):
        ended = cat.run(*arguments)
        assert ended.code == USAGE, ended.text()
        assert text in ended.text()
    ended = cat.run("send", str(place / "from" / "x"), BOB, "--timeout", "1s",
                    timeout=25)
    assert ended.code == TIMEOUT, ended.text()
    assert "passcat receive --from " + ALICE in ended.text()


def test_not_from_everybody(cat, place):
    """To whom was not named nobody is here."""
    make_file(place / "from" / "x", 10)
    receiver = take(cat, place / "to", "--from", CAROL)
    sender = give(cat, [place / "from" / "x"], receiver.jid)
    assert sender.wait() == REFUSED
    assert receiver.process.poll() is None
    receiver.signal(signal.SIGTERM)
    assert receiver.wait() == -signal.SIGTERM
    assert os.listdir(place / "to") == []


def test_asks(cat, place, middle):
    """On a terminal: who, what and how much; no, and then yes."""
    make_file(place / "from" / "x", 1000)
    tty = Terminal(cat, "receive", str(place / "to"), user="bob")
    try:
        tty.running.jid = tty.running.event("waiting")["jid"]
        sender = give(cat, [place / "from" / "x"], middle.jid)
        _, payload = middle.offer()
        refusal = middle.pass_on(payload, tty.running)
        tty.expect(r"dave@\S+ offers x \(1 file, 1\.0 kB\)\..*\[y/N\]")
        tty.type("n\n")
        assert refusal(10).error.condition == "not-acceptable"
        answer = middle.pass_on(payload, tty.running)
        tty.expect(r"dave@\S+ offers x")
        tty.type("y\n")
        assert sender.wait() == DONE
        assert tty.running.wait() == DONE
        assert answer(10).ok
    finally:
        tty.close()
    assert digest(place / "to" / "x") == digest(place / "from" / "x")


@pytest.mark.limit(90)
def test_server_restarted(secure, workdir, slot, tmp_path):
    """While the receiver waits: he is found afterwards.  While it is sent:
    the files need no XMPP."""
    own = passcat.secure(secure.name, workdir / ("restart-" + secure.name),
                         slot, 30)
    cat = passcat.Passcat(own.server, own.passd, tmp_path)
    try:
        make_file(tmp_path / "x", 8 * MIB)
        (tmp_path / "to").mkdir()
        receiver = take(cat, tmp_path / "to", "--from", ALICE)
        since = own.passd.mark()
        own.server.restart()
        own.passd.wait_log(r"link up", 40, since)
        receiver.event("waiting", 40)
        sender = give(cat, [tmp_path / "x"], BOB)
        sender.event("proven", 40)
        receiver.signal(signal.SIGSTOP)
        own.server.stop()
        receiver.signal(signal.SIGCONT)
        assert sender.wait() == DONE, words(sender)
        assert receiver.wait() == DONE, words(receiver)
        assert digest(tmp_path / "to" / "x") == digest(tmp_path / "x")
    finally:
        cat.close()
        own.passd.stop()
        own.server.stop()


def test_interrupted_by_its_user(cat, place, middle):
    """Ctrl-C while nobody has come: no port is left."""
    make_file(place / "from" / "x", 10)
    before = cat.ports()
    sender = give(cat, [place / "from" / "x"], middle.jid)
    middle.offer()
    assert cat.ports() == before + 1
    sender.signal(signal.SIGINT)
    assert sender.wait() == -signal.SIGINT
    assert until(lambda: cat.ports() == before)


# Somebody who gets the offer and does with it what he likes.

class Middle(users.User):
    """A session of Dave's on the server with TLS."""

    def __init__(self, secure, loop):
        self.offers = queue.Queue()
        super().__init__(loop, secure.server, servers.DOMAIN, "dave",
                         servers.PASSWORD, "middle")

    def open(self):
        self.xmpp.ca_certs = str(self.server.tls / "ca.pem")
        self.xmpp.connect(("127.0.0.1", self.server.c2s), force_starttls=True)

    def wants(self, element):
        return (element.find("{%s}query" % NS_OOB) is not None or
                super().wants(element))

    def take(self, element):
        if element.find("{%s}query" % NS_OOB) is not None and (
                element.get("type") == "set"):
            self.offers.put(element)
        else:
            super().take(element)

    def offer(self):
        """The next offer: where to connect, and the offer itself."""
        query = self.offers.get(timeout=15).find("{%s}query" % NS_OOB)
        address = query.find(".//{%s}address" % users.NS_PASSD)
        return ((address.text, int(address.get("port"))),
                ET.tostring(query, encoding="unicode"))

    def pass_on(self, payload, receiver):
        """Offer it to a passcat that waits for Dave's files."""
        return self.iq_async(receiver.jid, "set", payload)


@pytest.fixture
def middle(secure, loop):
    middle = Middle(secure, loop)
    yield middle
    middle.close()


def wrong(payload):
    """The same offer with a secret that is another one."""
    return re.sub(r"secret>([0-9a-f])", lambda m: "secret>%x" % (
        int(m[1], 16) ^ 1), payload, count=1)


def test_impostor_first(cat, place, middle):
    """He connects first and says nothing, or nonsense, or leaves: the right
    one comes in all the same."""
    make_file(place / "from" / "x", MIB)
    receiver = take(cat, place / "to", "--from", middle.bare)
    sender = give(cat, [place / "from" / "x"], middle.jid)
    address, payload = middle.offer()
    for said, why in ((b"GET / HTTP/1.0\r\n\r\n" + b"x" * 200, "secret"),
                      (b"passcat1" + b"\x05" * 200, "secret"),
                      (b"passcat1", "closed")):
        with contextlib.closing(tcp.connect(address)) as sock:
            sock.sendall(said)
            if why == "closed":
                sock.close()
            else:
                # At most a hello and a tag, which tell nothing, then the end.
                heard = b""
                with contextlib.suppress(ConnectionResetError):
                    while chunk := sock.recv(4096):
                        heard += chunk
                assert len(heard) <= 96
        assert why in sender.event("impostor")["why"]
    # One who sits there, and the right one beside him.
    with contextlib.closing(tcp.connect(address)) as silent:
        answer = middle.pass_on(payload, receiver)
        assert sender.wait() == DONE, words(sender)
        assert receiver.wait() == DONE, words(receiver)
        assert answer(10).ok
        assert tcp.ending(silent) in ("fin", "rst")
    assert digest(place / "to" / "x") == digest(place / "from" / "x")


@pytest.mark.limit(60)
def test_wrong_secret(cat, place, middle):
    """From the right address, by the right program, with another secret."""
    make_file(place / "from" / "x", MIB)
    thief = take(cat, place / "to", "--from", middle.bare, user="carol")
    sender = give(cat, [place / "from" / "x"], middle.jid)
    _, payload = middle.offer()
    refusal = middle.pass_on(wrong(payload), thief)
    sender.event("impostor")
    assert thief.wait() == PEER
    assert "secret" in words(thief)
    assert refusal(5).error.condition == "item-not-found"
    assert os.listdir(place / "to") == []
    receiver = take(cat, place / "to", "--from", middle.bare)
    middle.pass_on(payload, receiver)
    assert receiver.wait() == DONE, words(receiver)
    assert sender.wait() == DONE
    assert digest(place / "to" / "x") == digest(place / "from" / "x")


def test_more_than_was_offered(cat, place, middle):
    """The one who was asked said yes to less."""
    make_file(place / "from" / "x", MIB)
    receiver = take(cat, place / "to", "--from", middle.bare)
    sender = give(cat, [place / "from" / "x"], middle.jid)
    _, payload = middle.offer()
    smaller = re.sub(r'bytes="\d+"', 'bytes="1000"', payload)
    assert smaller != payload
    middle.pass_on(smaller, receiver)
    assert receiver.wait() == USAGE
    assert sender.wait() == REFUSED
    assert "more came than was offered" in words(receiver)
    assert os.listdir(place / "to") == []


def test_offers_that_make_no_sense(cat, place, middle):
    """They are refused, and the next one is as good as any."""
    make_file(place / "from" / "x", 10)
    receiver = take(cat, place / "to", "--from", middle.bare)
    sender = give(cat, [place / "from" / "x"], middle.jid)
    _, payload = middle.offer()
    for pattern, other in (
            (r"<(\w+:)?transfer .*</(\w+:)?transfer>", ""),
            (r"<(\w+:)?address .*</(\w+:)?address>", ""),
            (r'port="\d+"', 'port="0"'), (r'port="\d+"', 'port="65536"'),
            (r'files="\d+"', 'files="-1"'), (r'bytes="\d+"', 'bytes=""'),
            (r' dirs="\d+"', ""),
            (r"secret>[0-9a-f]", "secret>"), (r"secret>[0-9a-f]", "secret>g"),
            (r"secret>", "secret>00")):
        broken = re.sub(pattern, other, payload, count=1)
        assert broken != payload, pattern
        refusal = middle.pass_on(broken, receiver)(10)
        assert refusal.error.condition == "not-acceptable", (pattern, refusal)
    assert middle.iq(receiver.jid, "get", payload, 10).error.condition == (
        "service-unavailable")
    middle.pass_on(payload, receiver)
    assert receiver.wait() == DONE and sender.wait() == DONE


def test_declined(cat, place, middle):
    """No means no, and no port is left."""
    make_file(place / "from" / "x", 10)
    before = cat.ports()
    sender = give(cat, [place / "from" / "x"], middle.jid)
    element = middle.offers.get(timeout=15)
    middle.send("<iq type='error' id='%s' to='%s'><error type='modify'>"
                "<not-acceptable xmlns='%s'/></error></iq>" % (
                    element.get("id"), element.get("from"),
                    users.NS_STANZAS))
    assert sender.wait() == REFUSED
    assert "said no" in words(sender)
    assert until(lambda: cat.ports() == before)


def test_secret_is_not_shown(cat, place, middle):
    """Not with -v, which people paste."""
    make_file(place / "from" / "x", 10)
    receiver = take(cat, place / "to", "-v", "--from", middle.bare)
    sender = give(cat, [place / "from" / "x"], middle.jid, "-v")
    _, payload = middle.offer()
    secret = re.search(r"secret>([0-9a-f]{64})<", payload)[1]
    middle.pass_on(payload, receiver)
    assert sender.wait() == DONE and receiver.wait() == DONE
    for one in (sender, receiver):
        assert "jabber:iq:oob" in words(one)
        assert secret not in words(one)


# A relay that is not honest: it hands on what goes through a passd.

class Relay:
    """What listens on 127.0.0.9 in front of a passd, port by port."""

    HOST = "127.0.0.9"

    def __init__(self, ports, rendezvous):
        self.cut_after = None       # bytes from the owner, then the end
        self.flip_at = None         # the byte from the owner that is changed
        self.passed = 0
        self.closed = False
        self.listeners = []
        self.streams = []
        self.owner_ports = range(rendezvous[0], rendezvous[1] + 1)
        for port in range(ports[0], rendezvous[1] + 1):
            listener = socket.create_server((self.HOST, port))
            self.listeners.append(listener)
            threading.Thread(target=self.accept, args=(listener, port),
                             daemon=True).start()

    def accept(self, listener, port):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", port), 10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self.streams += [near, far]
            owner = port in self.owner_ports
            for source, sink, tampered in ((near, far, owner),
                                           (far, near, False)):
                threading.Thread(target=self.pump, daemon=True, args=(
                    source, sink, tampered)).start()

    def pump(self, source, sink, tampered):
        at = 0
        with contextlib.suppress(OSError):
            while chunk := source.recv(MIB):
                if tampered:
                    chunk = self.tamper(chunk, at)
                at += len(chunk)
                sink.sendall(chunk)
                if tampered and self.cut_after and at >= self.cut_after:
                    break
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR if tampered and self.cut_after
                             else socket.SHUT_WR if one is sink
                             else socket.SHUT_RD)

    def tamper(self, chunk, at):
        if self.flip_at is not None and at <= self.flip_at < at + len(chunk):
            changed = bytearray(chunk)
            changed[self.flip_at - at] ^= 1
            return bytes(changed)
        return chunk

    def close(self):
        for one in self.listeners + self.streams:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def relay(launch, secure, slot):
    """A passd of the test's own with a Relay in front; .service is for
    passcat's command line."""
    relay = None

    def start():
        nonlocal relay
        own = launch(secure.server, listen=(("127.0.0.1", Relay.HOST),),
                     count=12)
        relay = Relay(own.config.ports, own.config.rendezvous)
        relay.service = ("-s", own.jid)
        return relay
    yield start()
    relay.close()


@pytest.mark.limit(90)
def test_relay_flips(cat, place, relay):
    """One bit, in the proof or far behind it: nothing wrong gets a name, and
    what came before is good for the next run."""
    make_file(place / "from" / "x", 4 * MIB)
    for at, code in ((3 * MIB, PEER), (400, PEER)):
        relay.flip_at = at
        receiver = take(cat, place / "to", "--from", ALICE)
        sender = give(cat, [place / "from" / "x"], receiver.jid,
                      *relay.service)
        assert receiver.wait(30) == code, words(receiver)
        assert "changed it" in words(receiver), words(receiver)
        assert sender.wait(30) == PEER, words(sender)
        assert "x" not in os.listdir(place / "to")
    relay.flip_at = None
    sender, _ = both(cat, [place / "from" / "x"], place / "to",
                     service=relay.service)
    assert 0 < sender.event("done")["moved"] < 4 * MIB
    assert digest(place / "to" / "x") == digest(place / "from" / "x")
    assert os.listdir(place / "to") == ["x"]


@pytest.mark.limit(60)
def test_relay_flips_the_proof(cat, place, relay):
    """Then nobody gets in."""
    make_file(place / "from" / "x", 1000)
    relay.flip_at = 16 + 20         # behind the token of the leg
    receiver = take(cat, place / "to", "--from", ALICE)
    sender = give(cat, [place / "from" / "x"], receiver.jid,
                      *relay.service)
    sender.event("impostor")
    assert receiver.wait(30) == PEER
    assert "secret" in words(receiver)
    sender.wait(30)
    assert os.listdir(place / "to") == []


@pytest.mark.limit(90)
def test_directory_goes_on(cat, place, relay):
    """1,000 files, cut off twice, then all of them."""
    make_tree(place / "from" / "tree", 1000)
    for cut in (1, 2):
        relay.cut_after = cut * MIB
        receiver = take(cat, place / "to", "--from", ALICE)
        sender = give(cat, [place / "from" / "tree"], receiver.jid,
                      *relay.service)
        assert receiver.wait(30) == PEER, words(receiver)
        assert sender.wait(30) == PEER, words(sender)
        assert "run both again" in words(sender)
        assert os.listdir(place / "to") == ["tree.passcat-part"]
    relay.cut_after = None
    sender, _ = both(cat, [place / "from" / "tree"], place / "to",
                     service=relay.service)
    total = sum(len(found[0]) for found in tree(
        place / "from" / "tree").values() if found != "dir")
    assert 0 < sender.event("done")["moved"] < total - MIB
    assert tree(place / "to" / "tree") == tree(place / "from" / "tree")


@pytest.mark.slow
@pytest.mark.limit(180)
def test_big_file_goes_on(cat, big, relay, secure):
    """1 GiB on one server, 64 MiB on the other; cut off, and the rest."""
    size = 1024 * MIB if secure.name == "prosody" else 64 * MIB
    source, target = os.path.join(big, "disk.img"), os.path.join(big, "to")
    make_file(source, size)
    os.mkdir(target)
    relay.cut_after = size // 3
    receiver = take(cat, target, "--from", ALICE)
    sender = give(cat, [source], receiver.jid, *relay.service)
    assert receiver.wait(60) == PEER, words(receiver)
    assert sender.wait(60) == PEER, words(sender)
    part = os.path.join(target, "disk.img.passcat-part")
    had = os.path.getsize(part)
    assert size // 4 < had < size
    relay.cut_after = None
    sender, _ = both(cat, [source], target, 90, relay.service)
    assert sender.event("done")["moved"] == size - had
    assert os.listdir(target) == ["disk.img"]
    assert digest(os.path.join(target, "disk.img")) == digest(source)


def test_killed(cat, place, relay):
    """The receiver is killed in the middle; a new one goes on."""
    make_file(place / "from" / "x", 8 * MIB)
    relay.cut_after = None
    receiver = take(cat, place / "to", "--from", ALICE)
    stop = threading.Event()
    plain = relay.tamper

    def slow(chunk, at):
        if at > 2 * MIB:
            stop.wait(20)
        return plain(chunk, at)
    relay.tamper = slow
    sender = give(cat, [place / "from" / "x"], receiver.jid,
                      *relay.service)
    part = place / "to" / "x.passcat-part"
    assert until(lambda: part.exists() and part.stat().st_size > MIB)
    receiver.signal(signal.SIGKILL)
    receiver.wait()
    stop.set()
    assert sender.wait() == PEER
    relay.tamper = plain
    sender, _ = both(cat, [place / "from" / "x"], place / "to",
                     service=relay.service)
    assert sender.event("done")["moved"] < 8 * MIB
    assert digest(place / "to" / "x") == digest(place / "from" / "x")
