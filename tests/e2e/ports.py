# SPDX-License-Identifier: ISC
"""TCP ports for servers and relays, never two test runs on the same ones.

The ports from 10000 to 31999 lie below the range from which Linux takes the
source ports of outgoing connections.  They are cut into slots; a run owns a
slot as long as it is bound to its first port.
"""

import random
import socket
import time
from pathlib import Path

LOWEST, SLOTS, SLOT = 10000, 9, 2400
SINGLE = 400            # ports of a slot that are handed out one by one
SHARED = 500            # ports of a slot for each long-lived passd
APART = 400             # ports of a slot in small windows that stay
LISTEN = "0A"           # state column of /proc/net/tcp


def listening(lo, hi):
    """Return the set of ports in lo..hi on which somebody listens."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            port = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == LISTEN and lo <= port <= hi:
                found.add(port)
    return found


def wait_silent(ports, timeout=1):
    """Wait until nobody listens on these ports; return where he does."""
    end = time.monotonic() + timeout
    while True:
        left = ports & listening(min(ports, default=0), max(ports, default=0))
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


class Ports:
    """One slot."""

    def __init__(self):
        slots = list(range(LOWEST, LOWEST + SLOTS * SLOT, SLOT))
        random.shuffle(slots)
        for base in slots:
            self.claim = socket.socket()
            try:
                self.claim.bind(("127.0.0.1", base))
                self.claim.listen()
            except OSError:
                self.claim.close()
                continue
            if not listening(base + 1, base + SLOT - 1):
                break
            self.claim.close()
        else:
            raise RuntimeError("every slot of test ports is in use")
        self.next_single = base + 1
        self.end_single = base + SINGLE
        self.next_shared = self.end_single
        self.next_apart = base + SINGLE + 2 * SHARED
        self.start_private = self.next_private = self.next_apart + APART
        self.end = base + SLOT

    def close(self):
        self.claim.close()

    def single(self):
        """A port that this run has not used yet."""
        assert self.next_single < self.end_single, "out of single ports"
        self.next_single += 1
        return self.next_single - 1

    def shared(self):
        """A wide window (lo, hi), at most two of them a run."""
        lo = self.next_shared
        self.next_shared += SHARED
        assert self.next_shared <= self.start_private - APART
        return lo, self.next_shared - 1

    def apart(self, count):
        """A window (lo, hi) that is never given to anybody else."""
        lo = self.next_apart
        self.next_apart += count
        assert self.next_apart <= self.start_private, "out of small windows"
        return lo, self.next_apart - 1

    def window(self, count):
        """The next window (lo, hi) of free ports, the used ones anew."""
        for _ in range(2 * SLOT):
            lo = self.next_private
            if lo + count > self.end:
                lo = self.start_private
            self.next_private = lo + count
            if not listening(lo, lo + count - 1):
                return lo, lo + count - 1
        raise RuntimeError("no window of free ports left")
