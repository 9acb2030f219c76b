# SPDX-License-Identifier: ISC
"""What bench.py found, as plain text."""

import math
import os
import pathlib
import platform
import subprocess

import wire

KIB = 1024

# name, text, digits; in the order of DESIGN.md section 8
ROWS = [
    ("one", "one relay, GiB/s", 2),
    ("many", "64 relays, GiB/s", 2),
    ("same", "64 relays on one port, GiB/s", 2),
    ("cpu", "CPU s/GiB, one relay", 3),
    ("cpu64", "CPU s/GiB, 64 relays", 3),
    ("all", "CPU s/GiB, one and both ends", 3),
    ("p50", "64-byte round trip p50, us", 1),
    ("p99", "  p99, us", 1),
    ("p50b", "  beside a bulk relay p50, us", 1),
    ("p99b", "  beside a bulk relay p99, us", 1),
    ("pss", "idle relay, PSS, KiB", 1),
    ("kernel", "idle relay, kernel, KiB", 1),
]


def read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return "?"


def size_name(size):
    if size >= KIB * KIB:
        return "%dM" % (size // (KIB * KIB))
    return "%dK" % (size // KIB)


def figure(value, digits):
    return "-" if math.isnan(value) else "%.*f" % (digits, value)


class Table:
    def __init__(self, bench):
        self.b = bench
        self.size = self.passd_pipe()

    def passd_pipe(self):
        """The pipe size to compare with: what passd has been seen to use."""
        seen = self.b.pipes.get(self.b.passd, set())
        known = [s for s in (64 * KIB, 256 * KIB, KIB * KIB) if s in seen]
        return max(known, default=KIB * KIB)

    def same(self, name):
        """The ${name} that has a pipe of passd's size."""
        return next((r for r in self.b.relays
                     if r.name == name and r.pipe == self.size), None)

    def value(self, row, relay):
        return math.nan if relay is None else self.b.median(row, relay)

    def ratio(self, row, relay):
        other = self.value(row, relay)
        return self.value(row, self.b.passd) / other if other else math.nan

    def show(self):
        self.conditions()
        self.figures()
        self.ends()
        if self.b.passd is not None:
            self.ratios()
            self.bars()

    def conditions(self):
        b, args = self.b, self.b.args
        print("kernel %s, %d cores, %s, congestion control %s, lo mtu %s" % (
            platform.release(), os.cpu_count(), platform.machine(),
            read("/proc/sys/net/ipv4/tcp_congestion_control"),
            "%d%s" % (wire.mtu(), " without segmentation offload"
                      if args.mtu else "")))
        print("load average at the start %s; %d interleaved rounds of %g s "
              "a figure, medians" % (b.load_average, args.rounds,
                                     args.run / 1000))
        print("run of %.0f s, in which others used %.0f %% of the CPU%s" % (
            b.seconds, 100 * b.others / b.seconds / os.cpu_count(),
            ": NOT A QUIET MACHINE" if b.others > 0.05 * b.seconds *
            os.cpu_count() else ""))
        if b.haproxy:
            first = subprocess.run([b.haproxy, "-v"], capture_output=True,
                                   text=True, check=False).stdout.split()
            print("HAProxy %s, tcp mode, splice-request and splice-response, "
                  "nbthread default (one a core)" % first[2])
        else:
            print("HAProxy is not installed: its columns are missing")
        if os.getuid() == 0:
            print("each relay ran as an unprivileged user of its own, so the "
                  "kernel's limit of pipe\nmemory a user binds all alike; "
                  "passd's workers share one user")
        else:
            print("all relays ran as this user and share the kernel's limit "
                  "of pipe memory a user")
        if b.passd and not b.pipes.get(b.passd):
            print("passd's pipes could not be looked at (root can): compared "
                  "with those of %s" % size_name(self.size))
        for relay, seen in b.pipes.items():
            if seen and (relay is b.passd or seen != {relay.pipe}):
                print("pipe sizes seen in %s%s: %s" % (
                    relay.name, " " + size_name(relay.pipe)
                    if relay.pipe else "",
                    " ".join(map(size_name, sorted(seen)))))

    def header(self, text):
        print("\n%-30s" % text + "".join("%9s" % r.name
                                         for r in self.b.relays))
        print("%30s" % "pipe size" + "".join(
            "%9s" % (size_name(r.pipe) if r.pipe else
                     size_name(self.size) if r is self.b.passd else "-")
            for r in self.b.relays))

    def figures(self):
        self.header("")
        for row, text, digits in ROWS:
            print("%-30s" % text + "".join(
                "%9s" % figure(self.value(row, r), digits)
                for r in self.b.relays))

    def ends(self):
        b = self.b
        print("%-30s" % "bytes lost at ends of streams" + "".join(
            "%9d" % b.lost.get(r, 0) for r in b.relays))
        print("%-30s" % "  of streams compared" + "".join(
            "%9d" % b.streams.get(r, 0) for r in b.relays))

    def ratios(self):
        self.header("passd's figure divided by")
        for row, text, _ in ROWS:
            print("%-30s" % text + "".join(
                "%9s" % figure(math.nan if r is self.b.passd
                               else self.ratio(row, r), 2)
                for r in self.b.relays))

    # What DESIGN.md section 8 asks.

    def bar(self, text, value, need, limit, digits, row=None):
        """One line; ${need} is "<=" or ">="."""
        rounds = self.b.values.get((row, self.b.passd), [])
        spread = ("%s-%s" % (figure(min(rounds), digits),
                             figure(max(rounds), digits))
                  if len(rounds) > 1 else "")
        if math.isnan(value) or math.isnan(limit):
            verdict = "-"
        elif value <= limit if need == "<=" else value >= limit:
            verdict = "pass"
        else:
            verdict = "miss"
        print("%-44s%9s %15s  %s %-8s %s" % (
            text, figure(value, digits), spread, need,
            figure(limit, digits), verdict))
        return verdict

    def relative(self, text, row, name, factor, need):
        digits = next(d for r, _, d in ROWS if r == row)
        label = "%s: %s%s" % (text, "%g x " % factor if factor != 1 else "",
                              name)
        self.bar(label, self.value(row, self.b.passd), need,
                 factor * self.value(row, self.same(name)), digits, row)

    def bars(self):
        b, passd = self.b, self.b.passd
        print("\n%-44s%9s %15s  %s" % (
            "passd must (bare, HAProxy: %s pipes)" % size_name(self.size),
            "passd", "lowest-highest", "bar"))
        self.relative("one relay, GiB/s", "one", "HAProxy", 1.1, ">=")
        self.relative("one relay, GiB/s", "one", "bare", 0.95, ">=")
        self.relative("64 relays, GiB/s", "many", "HAProxy", 1.05, ">=")
        self.relative("CPU s/GiB, one relay", "cpu", "bare", 1, "<=")
        if not b.args.mtu:              # the figure is one of large packets
            self.bar("CPU s/GiB, one relay and both ends",
                     self.value("all", passd), "<=", 0.82, 3, "all")
        self.relative("round trip p50, us", "p50", "HAProxy", 1, "<=")
        self.bar("p99 beside a bulk relay, us", self.value("p99b", passd),
                 "<=", 100, 1, "p99b")
        extra = b.extra
        self.bar("bytes lost at ends of streams", b.lost.get(passd, 0), "<=",
                 0, 0)
        self.bar("idle relay, PSS and kernel, KiB",
                 self.value("pss", passd) + self.value("kernel", passd),
                 "<=", 10, 1)
        self.bar("idle port, PSS and kernel, KiB",
                 extra.get("portpss", math.nan) +
                 extra.get("portkernel", math.nan), "<=", 110, 1)
        self.bar("idle port, private, KiB", extra.get("portpriv", math.nan),
                 "<=", 24, 1)
        self.bar("registrations a second", extra.get("regs", math.nan), ">=",
                 1000, 0)
        self.bar("registration p99 at 100/s, ms",
                 extra.get("reg99", math.nan), "<=", 10, 2)
