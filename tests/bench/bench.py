# SPDX-License-Identifier: ISC
"""The benchmark that run.sh starts: see there for what it prints."""

import argparse
import math
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

import wire
from fakeserver import LinkError
from relays import Bare, Direct, HAProxy, Passd, pipe_sizes
from table import KIB, Table

GIB = float(1 << 30)
MANY = 64                               # relays at once

class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = args.directory
        self.load = os.path.join(args.directory, "load")
        self.load_average = "%.2f" % os.getloadavg()[0]
        self.values = {}                # (row, contender) -> one a round
        self.lost = {}                  # contender -> bytes
        self.streams = {}               # contender -> streams compared
        self.pipes = {}                 # contender -> sizes seen
        self.extra = {}                 # figures of passd alone
        self.seconds = self.others = 0.0    # of the whole run
        self.direct = Direct()
        self.relays = [self.direct]
        bare = os.path.join(args.directory, "bare")
        self.relays += [Bare(bare, s * KIB) for s in (64, 256, 1024)]
        self.haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin:" +
                                    os.environ.get("PATH", ""))
        if self.haproxy:
            self.relays += [HAProxy(self.haproxy, s * KIB, self.dir)
                            for s in (64, 256, 1024)]
        self.passd = None
        if args.passd:
            self.passd = Passd(args.passd, args.worker, self.dir, MANY + 1)
            self.relays.append(self.passd)

    # Running.

    def start_load(self, mode, pairs, warm, run, pids=()):
        fds = [s.fileno() for pair in pairs for s in pair]
        command = [self.load, mode, str(warm), str(run),
                   ",".join(map(str, pids)) or "-"]
        command += ["%d:%d" % (a.fileno(), b.fileno()) for a, b in pairs]
        process = subprocess.Popen(command, pass_fds=fds,
                                   stdout=subprocess.PIPE, text=True)
        for pair in pairs:
            for sock in pair:
                sock.close()
        return process

    def end_load(self, relay, process):
        text, _ = process.communicate(timeout=70)
        if process.returncode != 0:
            raise LinkError("load failed on %s" % relay.name)
        found = {k: int(v) for k, v in re.findall(r"(\w+)=(-?\d+)", text)}
        if "lost" in found:
            self.count_lost(relay, found)
        return found

    def count_lost(self, relay, found):
        bad = (abs(found["lost"]) + found.get("wrong", 0) +
               found["broken"])
        self.lost[relay] = self.lost.get(relay, 0) + bad
        self.streams[relay] = (self.streams.get(relay, 0) +
                               found.get("streams", 1))

    def note(self, row, relay, value):
        self.values.setdefault((row, relay), []).append(value)

    def bulk(self, relay, pairs, rows):
        pids = relay.pids()
        process = self.start_load("bulk", pairs, self.args.warm,
                                  self.args.run, pids)
        if relay is not self.direct:
            time.sleep((self.args.warm - 100) / 1000)
            self.pipes.setdefault(relay, set()).update(pipe_sizes(
                relay.workers() if relay is self.passd else pids))
        found = self.end_load(relay, process)
        gib = found["bytes"] / GIB
        if found["bytes"] == 0:
            raise LinkError("no byte came through %s" % relay.name)
        for row, value in zip(rows, (
                gib / (found["ns"] / 1e9),
                found["relay_ns"] / 1e9 / gib,
                (found["relay_ns"] + found["ends_ns"]) / 1e9 / gib)):
            if row and (relay is not self.direct or row != "cpu"):
                self.note(row, relay, value)

    def test_one(self, relay):
        self.bulk(relay, relay.open(1), ("one", "cpu", "all"))

    def test_many(self, relay):
        if relay is self.passd:
            pairs = relay.open(MANY, spread=True)
        else:
            pairs = relay.open(MANY)
        rows = ("many", None if relay is self.direct else "cpu64", None)
        self.bulk(relay, pairs, rows)

    def test_same(self, relay):
        if relay is self.passd:
            self.bulk(relay, relay.open(MANY), ("same", None, None))

    def ping(self, relay, rows, warm):
        where = {"where": 1} if relay is self.passd else {}
        pairs = relay.open(1, **where)
        found = self.end_load(relay, self.start_load(
            "ping", pairs, warm, self.args.run // 2))
        for row in rows:
            self.note(row, relay, found[row[:3]] / 1e3)

    def test_ping(self, relay):
        self.ping(relay, ("p50", "p99"), 100)

    def test_beside(self, relay):
        run = self.args.warm + self.args.run // 2 + 300
        process = self.start_load("bulk", relay.open(1), 0, run)
        self.ping(relay, ("p50b", "p99b"), self.args.warm)
        self.end_load(relay, process)

    def test_ends(self, relay, seed):
        pairs = relay.open(self.args.streams)
        self.end_load(relay, self.start_load("ends", pairs, seed, 0))

    def round(self, number):
        turn = number % len(self.relays)
        order = self.relays[turn:] + self.relays[:turn]
        for test in (self.test_one, self.test_many, self.test_same,
                     self.test_ping, self.test_beside):
            for relay in order:
                test(relay)
                time.sleep(0.02)
        for relay in order:
            self.test_ends(relay, number + 1)

    # passd alone.

    def set_ups(self):
        """Registrations as fast as they go, then at 100 a second."""
        user, count, window = self.passd.user, self.args.ports, 16
        sent, taken, ports = {}, [], []
        time.sleep(0.3)
        kernel, others = kernel_memory(), set(self.passd.workers())
        began = time.monotonic()
        while len(ports) < count:
            while len(sent) < window and len(sent) + len(ports) < count:
                sent[user.ask_port()] = time.monotonic()
            stanza = user.next_stanza()
            if sent.pop(stanza.attrs.get("id"), None) is not None:
                ports.append(user.granted(stanza))
        self.extra["regs"] = count / (time.monotonic() - began)
        time.sleep(0.3)
        self.idle_ports(set(self.passd.workers()) - others)
        self.extra["portkernel"] = (kernel_memory() - kernel) / count
        user.close_ports(ports)
        time.sleep(1)                   # until those workers have gone
        ports = []
        due = time.monotonic()
        for _ in range(count // 2):
            due += 0.01
            time.sleep(max(0, due - time.monotonic()))
            began = time.monotonic()
            ident = user.ask_port()
            answer = user.wait_for([ident])[ident]
            taken.append((time.monotonic() - began) * 1e3)
            ports.append(user.granted(answer))
        user.close_ports(ports)
        taken.sort()
        self.extra["reg99"] = taken[len(taken) * 99 // 100]

    def idle_ports(self, workers):
        """Memory of ${workers}, processes that have done nothing yet."""
        found = [f for f in map(memory, workers) if f]
        if found:
            self.extra["portpss"] = statistics.mean(f[0] for f in found)
            self.extra["portpriv"] = statistics.mean(f[1] for f in found)

    def idle_relays(self, relay, count=128):
        """PSS and kernel memory of a relay that carries nothing."""
        base = len(relay.open(1))       # what is made once exists from here
        pids = relay.pids()
        if any(memory(p) is None for p in pids):
            return None
        time.sleep(0.3)
        before, kernel = sum(memory(p)[0] for p in pids), kernel_memory()
        pairs = relay.open(count)
        time.sleep(0.3)
        after, kernel2 = sum(memory(p)[0] for p in pids), kernel_memory()
        for pair in pairs:
            for sock in pair:
                sock.close()
        time.sleep(0.3)
        del base
        return (after - before) / count, (kernel2 - kernel) / count

    def idle(self):
        """The two ends are sockets too: what they cost direct is not ours."""
        own = self.idle_relays(self.direct)
        for relay in self.relays[1:]:
            found = self.idle_relays(relay)
            if found:
                self.note("pss", relay, found[0])
                self.note("kernel", relay, max(0, found[1] - own[1]))

    def median(self, row, relay):
        found = self.values.get((row, relay))
        return statistics.median(found) if found else math.nan


def busy_seconds():
    """CPU seconds that this machine has worked, hypervisor's theft too."""
    first = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, first[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf(
        "SC_CLK_TCK")


def own_seconds():
    """Those of ours: this process and the children it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF,
                                                  resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


def memory(pid):
    """PSS and private memory of a process in KiB; None if not allowed."""
    try:
        text = pathlib.Path("/proc/%d/smaps_rollup" % pid).read_text()
    except OSError:
        return None
    found = {k: int(v) for k, v in re.findall(r"(\w+): +(\d+) kB", text)}
    if "Pss" not in found:
        return 0, 0
    return found["Pss"], found["Private_Clean"] + found["Private_Dirty"]


def kernel_memory():
    text = pathlib.Path("/proc/meminfo").read_text()
    found = {k: int(v) for k, v in re.findall(r"(\w+): +(\d+) kB", text)}
    return sum(found.get(k, 0) for k in ("Slab", "KernelStack", "PageTables",
                                         "SecPageTables", "Percpu"))


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", required=True)
    parser.add_argument("--passd", default="")
    parser.add_argument("--worker", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", type=int, default=1200, help="ms a figure")
    parser.add_argument("--warm", type=int, default=300, help="ms before it")
    parser.add_argument("--mtu", type=int, default=0, help="change lo's")
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--ports", type=int, default=300)
    return parser.parse_args()


def stop_on_signal(number, _frame):
    raise KeyboardInterrupt(number)


def measure(bench):
    for relay in bench.relays:
        relay.start()
    for number in range(bench.args.rounds):
        bench.round(number)
        print("\rround %d of %d done" % (number + 1, bench.args.rounds),
              file=sys.stderr, end="", flush=True)
    print(file=sys.stderr)
    bench.idle()
    if bench.passd:
        bench.set_ups()


def main():
    signal.signal(signal.SIGTERM, stop_on_signal)
    args = options()
    if args.mtu:
        wire.make(args.mtu)
    bench = Bench(args)
    began, busy = time.monotonic(), busy_seconds() - own_seconds()
    try:
        measure(bench)
    except LinkError as error:
        print("bench: %s" % error, file=sys.stderr)
        if bench.passd and bench.passd.log:
            print(bench.passd.log_tail(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for relay in bench.relays:
            relay.stop()
    bench.seconds = time.monotonic() - began
    bench.others = max(0, busy_seconds() - own_seconds() - busy)
    Table(bench).show()
    return 1 if any(bench.lost.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
