# SPDX-License-Identifier: ISC
"""A passd under test: its configuration, its processes and its log."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import ports
import servers
import users

PR_SET_CHILD_SUBREAPER = 36
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:"
                       r"|UndefinedBehavior")
# What AddressSanitizer makes of a SIGSEGV sent by a test.
SENT_SIGNAL = re.compile(r"AddressSanitizer:DEADLYSIGNAL.*?ABORTING\n",
                         re.DOTALL)
V4 = ("127.0.0.1", "198.51.100.7")      # bound, advertised
V6 = ("::1", "2001:db8::7")
PLAIN = (("127.0.0.1", "127.0.0.1"),)   # for clients that dial what they get


def adopt_orphans():
    """Become the parent of whatever a passd leaves behind."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap():
    """Wait for orphans that ended; our own Popens wait for themselves."""
    for pid in children(os.getpid()):
        if state(pid) == "Z" and pid not in Passd.running:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def stat(pid):
    """The fields of /proc/PID/stat after the name; empty when gone."""
    try:
        text = Path("/proc/%d/stat" % pid).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def state(pid):
    return (stat(pid) or ["X"])[0]


def alive(pid):
    return state(pid) not in "ZX"


def children(parent):
    """The process ids of a process's children."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and stat(int(entry))[1:2] == [str(parent)]:
            found.append(int(entry))
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


def title(pid):
    try:
        raw = Path("/proc/%d/cmdline" % pid).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return raw.rstrip(b"\0 ").replace(b"\0", b" ").decode()


def status(pid, key):
    """A line of /proc/PID/status, split."""
    for line in Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith(key + ":"):
            return line.split()[1:]
    return []


def block(name, statements):
    return "%s {\n%s}\n" % (name, "".join("\t%s\n" % s for s in statements))


class Config:
    """What passd.conf says; change fields, then write() again."""

    def __init__(self, jid, port, secret):
        self.component = jid
        self.server = "127.0.0.1 port %d" % port
        self.secret = secret
        self.ports = self.rendezvous = None     # (lo, hi)
        self.listen = (V4, V6)
        self.leg = "rendezvous"
        self.owner = "bare"
        self.rules = ['allow "%s"' % servers.DOMAIN,
                      'deny "mallory@%s"' % servers.DOMAIN]
        self.quota = {"ports": "8", "sessions": "1 per port",
                      "pending": "4 per port", "lifetime": "1h"}
        self.timeout = {"answer": "2s", "connect": "2s", "idle": "1m",
                        "half-close": "3s", "owner-gone": "1s",
                        "stop": "2s"}
        self.log = "debug"
        self.extra = ""

    def text(self):
        lines = ['component "%s"' % self.component,
                 "server " + self.server,
                 'secret file "%s"' % self.secret,
                 "ports %d:%d" % self.ports]
        if self.leg == "rendezvous":
            lines.append("rendezvous ports %d:%d" % self.rendezvous)
        lines += ["listen on %s advertise %s" % pair for pair in self.listen]
        lines += ["owner leg " + self.leg, "owner " + self.owner,
                  "log level " + self.log] + self.rules
        text = "\n".join(lines) + "\n" + self.extra
        text += block("quota default", map(" ".join, self.quota.items()))
        return text + block("timeout", map(" ".join, self.timeout.items()))


class Passd:
    """One passd.  start() it, stop() it; stop checks that it was sound."""

    running = set()         # process ids of the parents that we started

    def __init__(self, directory, jid, server, people=None):
        self.program = os.environ.get("PASSD") or shutil.which("passd")
        self.worker = os.environ.get("PASSD_WORKER")
        self.dir = directory
        self.dir.mkdir(parents=True, exist_ok=True)
        self.jid = jid
        self.server = server
        self.people = people        # session(name, resource) -> User
        self.secret = self.dir / "secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text(servers.SECRET + "\n")
        self.conf = self.dir / "passd.conf"
        self.config = Config(jid, server.component, self.secret)
        self.log = self.dir / "log"
        self.process = None
        self.clients = []
        self.crashes_expected = False
        self.chroot = None
        self.wrap = []          # a command in front, such as prlimit

    # Configuration.

    @property
    def advertise(self):
        return [pair[1] for pair in self.config.listen]

    def window(self, window):
        """Take ports from a window (lo, hi), a third for rendezvous."""
        lo, hi = window
        cut = hi - (hi - lo + 1) // 3
        self.config.ports = (lo, cut)
        self.config.rendezvous = (cut + 1, hi)

    def write(self):
        self.conf.write_text(self.config.text())

    def bound(self, entity):
        """Where an advertised (address, port) really listens."""
        address, port = entity
        for bind, advertised in self.config.listen:
            if advertised == address:
                return bind, port
        raise AssertionError("%s is not advertised" % address)

    # The process.

    def argv(self, *more):
        argv = [self.program, "-f", str(self.conf), *more]
        if self.worker:
            argv += ["-x", self.worker]
        if os.geteuid() == 0:
            if self.chroot is None:
                self.chroot = tempfile.mkdtemp(prefix="passd-empty-")
                os.chmod(self.chroot, 0o755)
            argv += ["-u", "nobody", "-w", "daemon", "-c", self.chroot]
        return argv

    def run(self, *options, timeout=10):
        """Run passd to its end (-n, -V, a failing start)."""
        return subprocess.run(self.argv(*options), text=True,
                              capture_output=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    def start(self, up=True):
        """Start and wait until it is ready and, unless told not, linked."""
        self.spawn()
        self.wait_log(r"\bready .*ports=")
        if up:
            self.wait_log(r"\blink up ")
        return self

    def spawn(self):
        """Start, and wait for nothing."""
        self.write()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                servers.TETHER + self.wrap + self.argv("-d"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir)
        Passd.running.add(self.process.pid)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kin(self, role):
        """Process ids of our processes with that title."""
        return [pid for pid in descendants(self.process.pid)
                if title(pid).startswith("passd: " + role)]

    def one(self, role, timeout=3):
        """The process id of the one process with that title."""
        end = time.monotonic() + timeout
        while len(found := self.kin(role)) != 1:
            assert time.monotonic() < end, "%s: %s" % (role, found)
            time.sleep(0.05)
        return found[0]

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self, timeout=6):
        """SIGTERM; check that all went well and nothing is left."""
        try:
            if self.process is not None:
                self.finish(timeout)
        finally:
            if self.chroot:
                shutil.rmtree(self.chroot, ignore_errors=True)
                self.chroot = None
        self.check()

    def finish(self, timeout):
        family = descendants(self.process.pid)
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = "still running after %g s" % timeout
            for pid in [self.process.pid] + family:
                kill(pid)
            self.process.wait()
        Passd.running.discard(self.process.pid)
        self.process = None
        orphans = [pid for pid in children(os.getpid())
                   if title(pid).startswith("passd:")]
        left = [(pid, title(pid)) for pid in set(family + orphans)
                if pid not in Passd.running and alive(pid)]
        for pid, _ in left:
            kill(pid)
        reap()
        assert code == 0, "exit status %s\n%s" % (code, self.tail())
        assert not left, "left behind: %s\n%s" % (left, self.tail())

    def check(self):
        """Check ports and log after the end."""
        text = self.text()
        mine = {int(n) for n in re.findall(
            r"(?:registered port|rendezvous)=(\d+)", text)}
        left = ports.wait_silent(mine)
        assert not left, "somebody still listens on %s" % left
        if self.crashes_expected:
            text = SENT_SIGNAL.sub("", text)
        assert not SANITIZER.search(text), text
        assert servers.SECRET not in text, "the secret is in the log"
        if not self.crashes_expected:
            assert "cause=worker-died" not in text, self.tail()

    # The log.

    def text(self):
        return (self.log.read_text(errors="replace")
                if self.log.exists() else "")

    def tail(self, lines=40):
        return "\n".join(self.text().splitlines()[-lines:])

    def mark(self):
        """The end of the log now, for the since of the others."""
        return len(self.text())

    def wait_log(self, pattern, timeout=users.PATIENCE, since=0):
        """Wait for a line that matches; return the match."""
        end = time.monotonic() + timeout
        while True:
            dead = self.process is None or self.process.poll() is not None
            match = re.search(pattern, self.text()[since:], re.MULTILINE)
            if match:
                return match
            if dead or time.monotonic() > end:
                raise AssertionError("not in the log%s: %s\n%s" % (
                    ", passd exited" if dead else "", pattern, self.tail()))
            time.sleep(0.02)

    def logged(self, pattern, since=0):
        """How often does a pattern occur in the log?"""
        return len(re.findall(pattern, self.text()[since:], re.MULTILINE))

    def events(self, name):
        """The (port, session) of each line of an event, in order."""
        return re.findall(r" %s port=(\d+) .*?session=(\d+)" % name,
                          self.text())

    # Its users.

    def client(self, name, resource="home"):
        client = users.Client(self.people(name, resource), self)
        self.clients.append(client)
        return client

    def release(self):
        """After a test with a shared passd: give back what it took."""
        for client in self.clients:
            client.cleanup()
        self.clients = []


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


