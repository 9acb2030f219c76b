# SPDX-License-Identifier: ISC
"""passcat under test: the program on a server with TLS, its events, its end."""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time

import daemon
import servers

PORTS = 120             # of the long-lived passd, a third for rendezvous


def program():
    """The program, or None if it was not built."""
    return shutil.which(os.environ.get("PASSCAT") or "passcat")


class Running:
    """A passcat that runs; its events come as dictionaries."""

    def __init__(self, argv, env, stdin, stdout, events, **options):
        self.process = subprocess.Popen(
            servers.TETHER + argv, env=env, stdin=stdin, stdout=stdout,
            stderr=subprocess.PIPE, start_new_session=True, **options)
        self.lines = queue.Queue()
        self.seen = []
        self.output = b""
        self.errors = b""
        self.threads = [self.reader(self.process.stderr, "errors", events)]
        if stdout == subprocess.PIPE:
            self.threads.append(
                self.reader(self.process.stdout, "output", events))

    def reader(self, stream, name, events):
        """Collect a stream in a thread, its events one by one."""
        def read():
            for line in stream:
                setattr(self, name, getattr(self, name) + line)
                if events and line.startswith(b'{"event":'):
                    self.lines.put(json.loads(line))
            stream.close()
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def text(self):
        return self.errors.decode("utf-8", "replace")

    def event(self, name, timeout=20, **fields):
        """The next event of that name (one of those names), and with those
        fields."""
        names = name if isinstance(name, tuple) else (name,)
        end = time.monotonic() + timeout
        while True:
            try:
                event = self.lines.get(timeout=max(0, min(
                    0.5, end - time.monotonic())))
            except queue.Empty:
                gone = self.process.poll() is not None and self.lines.empty()
                assert not gone and time.monotonic() < end, (
                    "no event %s %s\n%s\n%s" % (name, fields, self.seen,
                                                self.text()))
                continue
            self.seen.append(event)
            if event["event"] in names and all(
                    event.get(key) == value for key, value in fields.items()):
                return event

    def wait(self, timeout=20):
        """Its exit code; all that it has written is there then."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running\n%s\n%s" % (
                self.seen, self.text())) from None
        for thread in self.threads:
            thread.join(10)
        assert not daemon.SANITIZER.search(self.text()), self.text()
        return code

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """End it and its children, whatever it does."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Passcat:
    """passcat on one server, for a test: start() and run()."""

    def __init__(self, server, passd, directory):
        self.program = program()
        self.server = server
        self.passd = passd
        self.dir = directory
        self.home = directory / "home"
        self.home.mkdir()
        self.started = []

    @property
    def host(self):
        return "127.0.0.1:%d" % self.server.c2s

    def argv(self, *arguments, user="alice", account=True):
        argv = [self.program, *arguments]
        if account:
            argv[1:1] = ["-j", "%s@%s" % (user, servers.DOMAIN),
                         "--host", self.host,
                         "--ca-file", str(self.server.tls / "ca.pem")]
        return argv

    def env(self, **more):
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"],
               "PASSCAT_PASSWORD": servers.PASSWORD, "LC_ALL": "C.UTF-8"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(more)
        return {key: value for key, value in env.items() if value is not None}

    def start(self, *arguments, user="alice", env=None, json=True,
              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
              account=True, **options):
        argv = self.argv(*(("--json",) if json else ()), *arguments,
                         user=user, account=account)
        new = Running(argv, self.env(**(env or {})), stdin, stdout, json,
                      **options)
        self.started.append(new)
        return new

    def run(self, *arguments, timeout=20, **options):
        """Run it to its end; return it with .code."""
        new = self.start(*arguments, json=False, **options)
        new.code = new.wait(timeout)
        return new

    def forward(self, port, *options, **more):
        """A forward that listens already, and where."""
        new = self.start("forward", *options, str(port), **more)
        listening = new.event("listening")
        return new, (listening["host"], listening["port"])

    def listen(self, *options, **more):
        """The same for listen."""
        new = self.start("listen", *options, **more)
        listening = new.event("listening")
        return new, (listening["host"], listening["port"])

    def ports(self):
        """How many ports passd has registered and not closed."""
        text = self.passd.text()
        return (len(re.findall(r" registered port=", text)) -
                len(re.findall(r" closed port=", text)))

    def close(self):
        for one in self.started:
            one.kill()


class Secure:
    """A server with TLS and the passd on it."""

    def __init__(self, server, passd):
        self.server = server
        self.passd = passd
        self.name = server.name


def secure(kind, directory, slot, count=PORTS):
    """Start a server with TLS and a passd with so many ports on it."""
    tls = servers.certificates(directory / "tls")
    server = servers.SERVERS[kind](directory / kind, slot, tls)
    passd = daemon.Passd(directory / "passd", servers.COMPONENTS[0], server)
    passd.window(slot.apart(count))
    passd.config.listen = daemon.PLAIN
    passd.config.quota.update({"sessions": "4 per port", "pending":
                               "8 per port", "ports": "30"})
    passd.config.timeout.update({"answer": "20s", "connect": "10s"})
    try:
        server.start()
        passd.start()
    except BaseException:
        server.stop()
        raise
    return Secure(server, passd)
