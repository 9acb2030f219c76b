# SPDX-License-Identifier: ISC
"""Compares the system calls in traces of strace(1) with the filters.

usage: calls.py FILTERS TRACES

FILTERS is the directory of the filters as text (libseccomp's PFC), TRACES one
with the output of strace -f -e raw='!execve', a file for each passd.  Each
call that a process made after it had put on its filter is led through that
filter, arguments and all.  Printed are, for each filter, the rules with how
often which process used them, and those that no process used: each of these
needs a reason, below.  Exit status: 0 if all have one, else 1.
"""

import re
import resource
import socket
import sys
from collections import Counter, defaultdict
from pathlib import Path

ABORT = "abort(3), from an assertion or the stack protector"
CLOCK = "where the clock is no vDSO call (a Xen guest, hpet)"
OTHERS = "the name of that call on other architectures, or in other libcs"
NSS = "nscd(8), or the modules myhostname, mymachines, mdns, resolve"
LOADED = "a module of nsswitch.conf(5) is loaded, which static look-ups spare"
STOPPED = "poll(2) after SIGSTOP and SIGCONT"
# Why a rule stands that nothing used: filter, rule, reason.
REASONS = [
    ("*", "clock_gettime|gettimeofday|time", CLOCK),
    ("*", "gettid|getpid|rt_sigprocmask", ABORT),
    ("worker", "ppoll|dup3", OTHERS),
    ("worker", "restart_syscall", STOPPED),
    ("worker", "mmap .*", "what libc says last, on the way to abort(3)"),
    ("worker", "getsockopt IPPROTO_TCP TCP_INFO",
     "a reader that is stuck for long: the tests of the shuttle have it"),
    ("control", "epoll_pwait", OTHERS),
    ("control", "epoll_pwait2", "epoll_wait(2) of libevent 2.2"),
    ("control", "fcntl F_DUPFD_CLOEXEC",
     "a spawner that does not read: the tests of chan.c have it"),
    ("control", "rt_sigaction", ABORT),
    ("control", "madvise", "free(3) of musl"),
    ("control", "mremap", "realloc(3) of more than 128 KiB"),
    ("control", "write", "what libevent and libc warn of, to stderr"),
    ("resolver", "access|faccessat|[fl]?stat|statx|readlink|readlinkat|ppoll"
     "|open .*", OTHERS),
    ("resolver", "mmap arg2=0x5 .*|mprotect .*|pread64|prctl .*", LOADED),
    ("resolver", "mmap .*|mremap|munmap|madvise",
     "malloc(3) and files of /etc that are large"),
    ("resolver", "restart_syscall", STOPPED),
    ("resolver", "getrandom|getpeername|fcntl .*|getsockopt .*|write", NSS),
    ("resolver", "socket AF_INET6 .*|setsockopt IPPROTO_IPV6 .*",
     "a name server that has an IPv6 address"),
]

# ---- names of numbers -------------------------------------------------------

LEVELS = {0: ("IPPROTO_IP", ("IP_",)), 1: ("SOL_SOCKET", ("SO_",)),
          6: ("IPPROTO_TCP", ("TCP_",)), 41: ("IPPROTO_IPV6", ("IPV6_",))}
# What the module socket does not name.
OPTIONS = {(0, 11): "IP_RECVERR", (41, 25): "IPV6_RECVERR"}
FCNTL = {1: "F_GETFD", 2: "F_SETFD", 3: "F_GETFL", 4: "F_SETFL",
         1030: "F_DUPFD_CLOEXEC", 1031: "F_SETPIPE_SZ", 1032: "F_GETPIPE_SZ"}
PRCTL = {3: "PR_GET_DUMPABLE", 4: "PR_SET_DUMPABLE", 22: "PR_SET_SECCOMP",
         23: "PR_CAPBSET_READ", 38: "PR_SET_NO_NEW_PRIVS",
         39: "PR_GET_NO_NEW_PRIVS"}


def named(module, prefixes, value):
    for name in sorted(vars(module)):
        if name.startswith(prefixes) and "J1939" not in name and \
                getattr(module, name) == value:
            return name
    return "%#x" % value


def option(level, value):
    name, prefixes = LEVELS.get(level, ("%#x" % level, ()))
    return [name, OPTIONS.get((level, value)) or
            named(socket, prefixes, value)]


def describe(name, conditions):
    """A rule in words: its call and what the arguments have to be."""
    equal = {n: value for n, mask, value in conditions if mask == 0xffffffff}
    words = [name]
    if name in ("setsockopt", "getsockopt") and set(equal) == {1, 2}:
        return " ".join(words + option(equal[1], equal[2]))
    for n, mask, value in conditions:
        if mask != 0xffffffff:
            words.append("arg%d&%#x=%#x" % (n, mask, value))
        elif name == "fcntl" and n == 1:
            words.append(FCNTL.get(value, "%d" % value))
        elif name == "prlimit64" and n == 1:
            words.append(named(resource, "RLIMIT_", value))
        elif name == "prctl" and n == 0:
            words.append(PRCTL.get(value, "%#x" % value))
        elif name in ("socket", "socketpair") and n == 0:
            words.append(named(socket, "AF_", value))
        else:
            words.append("arg%d=%#x" % (n, value))
    return " ".join(words)


# ---- a filter ---------------------------------------------------------------

class Rule:
    """An action, and the way to it."""

    def __init__(self, action, conditions, line):
        self.action, self.line = action, line
        # The name is in a comment; see Filter.
        self.conditions = conditions
        self.name = None


class Filter:
    """A filter as text, to be led through like the kernel does."""

    HEAD = re.compile(r"\s*# filter for syscall \"(\w+)\" \((\d+)\)")
    LINE = re.compile(r"( *)(if \((.*)\)|else|action (.*);)(?: *#.*)?$")
    TEST = re.compile(r"\$(arch|syscall|a(\d)\.([hl])[io]32)"
                      r"(?: & (0x[0-9a-f]+))? (==|>=|>) (\d+)")

    def __init__(self, path):
        self.name = path.stem
        self.numbers = {}       # of the calls that it knows
        self.rules = []
        self.used = defaultdict(Counter)
        lines = []
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if head := self.HEAD.match(text):
                self.numbers[head[1]] = int(head[2])
            elif not text.lstrip().startswith("#") and text.strip():
                match = self.LINE.match(text)
                if match is None:
                    sys.exit("%s:%d: not understood" % (path, number))
                lines.append((len(match[1]), match, number))
        self.lines = lines
        names = {n: name for name, n in self.numbers.items()}
        self.block, rest = self.parse(0, 0, names, ())
        # Behind it: what is done with other architectures' calls.
        assert rest >= len(lines) - 1, path

    def test(self, text):
        match = self.TEST.fullmatch(text)
        if match is None:
            sys.exit("%s: not understood: %s" % (self.name, text))
        what, n, half, mask, operator, value = match.groups()
        mask = int(mask, 16) if mask else 0xffffffff
        return (what if n is None else "arg", n and int(n), half, mask,
                operator, int(value))

    def parse(self, at, depth, names, path):
        """Statements from line at on that are that deep."""
        block = []
        while at < len(self.lines) and self.lines[at][0] == depth:
            _, match, number = self.lines[at]
            at += 1
            if match[4]:
                rule = Rule(match[4], [], number)
                for what, n, half, mask, operator, value in path:
                    if what == "syscall" and operator == "==":
                        rule.name = names[value]
                    elif what == "arg" and half == "l":
                        rule.conditions.append((n, mask, value))
                self.rules.append(rule)
                block.append((None, rule, None))
                continue
            test = self.test(match[3])
            inner, at = self.parse(at, self.lines[at][0], names,
                                   path + (test,))
            other = []
            if at < len(self.lines) and self.lines[at][0] == depth and \
                    self.lines[at][1][2] == "else":
                other, at = self.parse(at + 1, self.lines[at + 1][0], names,
                                       path)
            block.append((test, inner, other))
            if test[0] == "arch":
                break
        return block, at

    @staticmethod
    def holds(test, number, args):
        what, n, half, mask, operator, value = test
        if what == "arch":
            return True
        if what == "syscall":
            have = number
        else:
            have = args[n] if n < len(args) else 0
            have = have >> 32 if half == "h" else have & 0xffffffff
            have &= mask
        return (have == value if operator == "==" else
                have > value if operator == ">" else have >= value)

    def run(self, number, args, block=None):
        """The rule that decides about a call."""
        for test, inner, other in self.block if block is None else block:
            if test is None:
                return inner
            taken = inner if self.holds(test, number, args) else other
            rule = self.run(number, args, taken) if taken else None
            if rule is not None:
                return rule
        return None

    def call(self, role, name, args):
        """Count a call of a process."""
        rule = None
        if name in self.numbers:
            rule = self.run(self.numbers[name], args)
        if rule is None or rule.name is None:
            rule = name         # the default action
        self.used[rule][role] += 1


# ---- traces -----------------------------------------------------------------

class Process:
    def __init__(self, role=None, caged=False):
        self.role = role        # control, resolver, spawner, worker
        self.caged = caged
        self.pending = None     # a call that has not returned


class Trace:
    """The calls of one passd and of all that came of it."""

    CALL = re.compile(r"(\d+) +(\w+)\((.*)$")
    RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>.*\) += (-?\w+)")
    RESULT = re.compile(r"\) += (-?\w+|\?)[^)]*$")
    FORKS = ("clone", "clone3", "fork", "vfork")
    ROLE = re.compile(r'"([^"]*)", \["[^"]*"(?:, "-R", "(\w+)")?')
    FILTER = {"control": "control", "resolver": "resolver",
              "spawner": "worker", "worker": "worker"}

    def __init__(self, path, filters):
        self.filters = filters
        self.processes = {}
        lines = path.read_text(errors="replace").splitlines()
        # A child may be seen before its parent's fork has returned.
        self.parents = {}
        for line in lines:
            match = self.RESUMED.match(line)
            if match is None and (call := self.CALL.match(line)):
                result = self.RESULT.search(call[3])
                match = result and (line, call[1], call[2], result[1])
            if match and match[2] in self.FORKS and match[3] not in "?-":
                self.parents.setdefault(int(match[3], 0), int(match[1]))
        for line in lines:
            self.line(line)

    def process(self, pid):
        if pid not in self.processes:
            parent = self.processes.get(self.parents.get(pid), Process())
            role = "worker" if parent.caged and parent.role == "spawner" \
                else parent.role
            self.processes[pid] = Process(role, parent.caged)
        return self.processes[pid]

    def line(self, line):
        if match := self.RESUMED.match(line):
            process = self.process(int(match[1]))
            if process.pending:
                self.returned(process, *process.pending, match[3])
            return
        match = self.CALL.match(line)
        if match is None:
            return              # a signal, an end
        process = self.process(int(match[1]))
        name, rest = match[2], match[3]
        text = re.split(r"\) += | <unfinished| *<\.\.\.", rest)[0]
        if name == "execve":
            args = text
        else:
            args = [int(arg, 0) & 0xffffffffffffffff
                    for arg in text.rstrip(")").split(", ")
                    if re.fullmatch(r"-?(0x[0-9a-f]+|\d+)", arg)]
        if process.caged:
            self.filters[self.FILTER[process.role]].call(process.role, name,
                                                         args)
        process.pending = name, args
        if result := self.RESULT.search(rest):
            self.returned(process, name, args, result[1])

    def returned(self, process, name, args, result):
        process.pending = None
        if result != "0" and result != "0x0":
            return
        if name == "execve":
            process.caged = False
            match = self.ROLE.match(args)
            program = Path(match[1]).name if match else None
            process.role = (match[2] if program == "passd" else
                            "spawner" if program == "passd-worker" else None)
        elif process.role in self.FILTER and (
                name == "prctl" and args[0] == 22 or
                name == "seccomp" and args[0] == 1):
            process.caged = True


# ---- report -----------------------------------------------------------------

def reason(filter, text):
    for name, rule, why in REASONS:
        if name in ("*", filter.name) and re.fullmatch(rule, text):
            return why
    return None


def report(filter):
    """Print; return how many rules are unused and without a reason."""
    allow = [rule for rule in filter.rules
             if rule.action == "ALLOW" and rule.name]
    rows = sorted((describe(rule.name, rule.conditions), rule)
                  for rule in allow)
    used = [(text, filter.used[rule]) for text, rule in rows
            if rule in filter.used]
    print("\n%s: %d rules allow, %d of them used" % (filter.name, len(allow),
                                                     len(used)))
    for text, counts in used:
        print("  used    %-44s %s" % (text, " ".join(
            "%s %d" % item for item in sorted(counts.items()))))
    bad = 0
    for text, rule in rows:
        if rule not in filter.used:
            why = reason(filter, text)
            bad += why is None
            print("  %-7s %-44s %s" % ("UNUSED" if why is None else "unused",
                                       text, why or ""))
    for what, counts in filter.used.items():
        if isinstance(what, str):
            print("  KILLED  %-44s %s" % (what, " ".join(
                "%s %d" % item for item in sorted(counts.items()))))
        elif what.action != "ALLOW":
            print("  refused %-44s %s" % (what.name, " ".join(
                "%s %d" % item for item in sorted(counts.items()))))
    return bad


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    filters = {path.stem: Filter(path)
               for path in sorted(Path(sys.argv[1]).glob("*.pfc"))}
    traces = sorted(Path(sys.argv[2]).glob("*.trace"))
    for path in traces:
        Trace(path, filters)
    print("%d traces" % len(traces))
    bad = sum([report(filter) for filter in filters.values()])
    if bad:
        sys.exit("\n%d rules are unused, and no reason is known" % bad)


if __name__ == "__main__":
    main()
