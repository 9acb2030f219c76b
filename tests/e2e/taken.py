# SPDX-License-Identifier: ISC
"""What a taken passd-worker can be told to do (hostile_worker.c), and which
messages to tell it."""

import itertools
import os
import random
import shutil
import socket
import struct
from pathlib import Path

import pytest

import tcp

WORKER, SILENT, SPAWNER = 61, 62, 63    # "pending" of who is to be taken
ORDER, REPLY, ROW = struct.Struct("=BBBBII8s"), struct.Struct("=iI"), \
    struct.Struct("=HHHH")
HEADER = struct.Struct("=HHIQ")
ID, SEQ, WAIT = 1, 2, 4                 # flags of an order

READY, CLIENT, LEG, PAIRED, ENDED, REFUSED, GONE = 12, 22, 23, 24, 25, 26, 27
PONG = 50
SPAWNED, EXITED, LOG, ANSWER, RENDEZVOUS = 15, 16, 2, 17, 18
LENGTHS = {READY: 16, CLIENT: 48, LEG: 48, PAIRED: 48, ENDED: 72,
           REFUSED: 48, GONE: 16, PONG: 16}
ADDRESS = struct.pack("=BBH16s", 4, 0, 4000, bytes((198, 51, 100, 9)))
LINGERING = 12                          # kind of descriptor

STATES = ("starting", "open", "asked", "accepted", "relay", "closing", "gone")
VERSIONS = (1, 0, 2, 65535)
IDS = ("own", "none", "other", "unknown")
SEQS = ("next", "same", "skip", "zero", "huge")
SIZES = ("right", "none", "one", "short", "header", "less", "more", "most",
         "over", "huge")
KINDS = tuple(range(12))


def program():
    """The path of hostile_worker, which make check has built."""
    path = os.environ.get("HOSTILE_WORKER")
    if not path or not os.access(path, os.X_OK):
        pytest.skip("hostile_worker was not built")
    return path


def caged(directory):
    """The same with the filter of system calls."""
    path = directory / "hostile_worker.caged"
    shutil.copy(program(), path)
    return str(path)


class Puppet:
    """The line to a taken worker or spawner, by its own port."""

    def __init__(self, port):
        self.address = ("127.0.0.1", port)
        self.sock = tcp.connect(self.address)

    def order(self, op, count=0, data=b"", flags=0, kinds=(), answered=True):
        """Give an order; return its (value, bytes)."""
        self.sock.sendall(ORDER.pack(
            ord(op), flags, len(kinds), 0, count, len(data),
            bytes(kinds).ljust(8, b"\0")) + data)
        if not answered:
            return None
        value, length = REPLY.unpack(tcp.read_exactly(self.sock, REPLY.size))
        return value, tcp.read_exactly(self.sock, length)

    def send(self, data, count=1, flags=ID | SEQ, kinds=()):
        """Send a message; return how often that worked, if it still can
        be said."""
        try:
            return self.order("S", count, data, flags, kinds)[0]
        except (tcp.EndOfStream, ConnectionError):
            return None                 # killed before it could answer

    def say(self, kind, session=0, what=0, count=1):
        """Send a message as an honest worker would."""
        return self.send(message(kind, session, what), count,
                         ID | SEQ | WAIT)

    def command(self, wanted, timeout=10000):
        """Read commands of control up to one of that type."""
        while (kind := self.order("R", timeout)[0]) != wanted:
            assert kind > 0, "no command %d: %d" % (wanted, kind)

    def table(self):
        """All (edge, type, shortest, longest) of the table of messages."""
        return list(ROW.iter_unpack(self.order("T")[1]))

    def close(self):
        self.sock.close()


def body(kind, session, what):
    """What an honest message of that type has behind its header."""
    if kind in (CLIENT, LEG, PAIRED):
        return struct.pack("=II", session, what) + ADDRESS + bytes(4)
    if kind == ENDED:
        return struct.pack("=IIQQQ", session, 1, 0, 0, 0) + ADDRESS + bytes(4)
    if kind == REFUSED:
        return struct.pack("=III", 1, 0, 0) + ADDRESS
    return b""


def message(kind, session=0, what=0, version=1, ident=0, seq=0):
    return HEADER.pack(kind, version, ident, seq) + body(kind, session, what)


class Attack:
    """One message, in one state, that may be wrong in several ways."""

    FACTORS = ("kind", "size", "version", "ident", "seq", "nfds", "fd",
               "state")

    def __init__(self, values):
        self.values = values
        for name, value in zip(self.FACTORS, values):
            setattr(self, name, value)

    def __repr__(self):
        return " ".join("%s=%s" % pair
                        for pair in zip(self.FACTORS, self.values))

    @property
    def plain(self):
        return (self.version == 1 and self.ident == "own" and
                self.seq == "next" and self.nfds == 0)

    @property
    def is_end(self):
        """An empty packet cannot be told from the end of the channel."""
        return self.size == "none" and self.nfds == 0

    @property
    def allowed(self):
        """Would an honest worker say that?"""
        if len(self.text(0)) != LENGTHS.get(self.kind):
            return False
        if self.kind == PONG:           # it has no number
            return (self.version, self.ident, self.nfds) == (1, "own", 0)
        if not self.plain:
            return False
        return self.state in {
            READY: ("starting",),
            CLIENT: ("open", "asked", "accepted", "relay", "closing"),
            LEG: ("asked", "accepted", "relay", "closing"),
            PAIRED: ("accepted",),
            ENDED: ("asked", "accepted", "relay", "closing"),
            REFUSED: ("open", "asked", "accepted", "relay", "closing"),
            GONE: ()}[self.kind]

    def text(self, other, longest=48):
        """The message; other is the id of another worker."""
        ident = {"own": 0, "none": 0, "other": other,
                 "unknown": 0xfffffff0}[self.ident]
        last = 7 if self.state == "starting" else 1
        seq = {"next": 0, "same": last, "skip": 1000, "zero": 0,
               "huge": (1 << 64) - 1}[self.seq]
        right = message(self.kind, 2 if self.kind == CLIENT else 1,
                        1 if self.kind == LEG else 0, self.version, ident,
                        seq)
        if self.kind not in LENGTHS:
            right = right.ljust(longest, b"\0")
        size = {"right": len(right), "none": 0, "one": 1, "short": 15,
                "header": 16, "less": len(right) - 1, "more": len(right) + 1,
                "most": 2112, "over": 2113, "huge": 60000}[self.size]
        return right[:size].ljust(size, b"\0")

    @property
    def flags(self):
        return (ID if self.ident == "own" else 0) | (
            SEQ if self.seq == "next" else 0)


def single_faults(kinds):
    """Each wrong value with everything else right."""
    chance = random.Random(3)
    rows = []

    def add(kind, size="right", version=1, ident="own", seq="next", nfds=0,
            fd=0, state=None):
        rows.append((kind, size, version, ident, seq, nfds, fd,
                     state or chance.choice(STATES)))

    for kind in kinds:
        add(kind)
    for kind, state in itertools.product(LENGTHS, STATES):
        add(kind, state=state)
    for kind, size in itertools.product(LENGTHS, SIZES[2:]):
        add(kind, size)
    for state in STATES:
        add(GONE, "none", state=state)
        add(GONE, "none", nfds=2, state=state)
    for version in VERSIONS[1:]:
        add(REFUSED, version=version, state="open")
    for ident in IDS[1:]:
        add(REFUSED, ident=ident, state="relay")
    for seq in SEQS[1:]:
        add(REFUSED, seq=seq, state="asked")
    for nfds in range(1, 9):
        add(REFUSED, nfds=nfds, fd=chance.choice(KINDS), state="accepted")
    for fd in KINDS:
        add(REFUSED, nfds=chance.randint(1, 3), fd=fd, state="closing")
    return rows


def pairwise(factors):
    """Rows in which any two values of two factors meet at least once."""
    chance = random.Random(5)
    names = range(len(factors))
    pairs = {(a, x, b, y) for a, b in itertools.combinations(names, 2)
             for x in factors[a] for y in factors[b]}
    rows = []
    while pairs:
        best, gain = None, set()
        for seed in chance.sample(sorted(pairs, key=repr),
                                  min(6, len(pairs))):
            row = [chance.choice(values) for values in factors]
            row[seed[0]], row[seed[2]] = seed[1], seed[3]
            new = {(a, row[a], b, row[b])
                   for a, b in itertools.combinations(names, 2)} & pairs
            if len(new) > len(gain):
                best, gain = row, new
        rows.append(tuple(best))
        pairs -= gain
    return rows


def attacks(table):
    """All attacks of a worker on control, in the same order every time."""
    kinds = sorted({row[1] for row in table} | {0, 28, 255, 65535})
    longest = {row[1]: row[3] for row in table}
    few = kinds[::3] + [k for k in LENGTHS if k not in kinds[::3]]
    rows = single_faults(kinds) + pairwise(
        [few, [size for size in SIZES if size != "none"], VERSIONS, IDS,
         SEQS, tuple(range(9)), KINDS, STATES])
    return [Attack(row) for row in dict.fromkeys(rows)], longest


def head(kind, more=b"", version=1):
    return HEADER.pack(kind, version, 1, 0) + more


PAIR = struct.pack("=ii", 4711, 0)      # pid or status, and error

# What no spawner may say to control; the kinds of descriptors with it.
TO_CONTROL = {
    "type": (head(READY), ()),
    "worker": (message(CLIENT, 1), ()),
    "short": (head(SPAWNED, PAIR[:7]), ()),
    "huge": (head(EXITED).ljust(60000, b"\0"), ()),
    "pipe": (head(SPAWNED, PAIR), (0,)),
    "eight": (head(EXITED, PAIR), (1, 2, 3, 4, 5, 6, 7, 11)),
}

# The same for the parent.
TEXT = struct.pack("=II", 2, 0)         # a level, before the text of a LOG
TO_PARENT = {
    "state": (head(READY), ()),
    "empty": (head(LOG, TEXT), ()),
    "long": (head(LOG, TEXT + b"x" * 2049), ()),
    "control": (head(10), ()),
    "listener": (head(LOG, TEXT + b"x"), (6,)),
    "eight": (head(LOG, TEXT + b"x"), (0, 1, 2, 3, 4, 5, 7, 8)),
}
