# SPDX-License-Identifier: ISC
"""What the benchmark compares: no relay, bare, HAProxy, passd.

Each has a name, start() and stop(), pids() (the processes whose CPU time is
the relay's) and open(n, ...), which returns n pairs of connected sockets: the
stranger's end and the end that he reaches.
"""

import fcntl
import itertools
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import time

from fakeserver import FakeServer, LinkError, User

F_GETPIPE_SZ = 1032
TIMEOUT = 10

# Run as root, each relay gets an id of its own, so that each has the whole
# budget of pipe memory that the kernel gives an unprivileged user.
FIRST_UID = 64101
PASSD_USERS = ("nobody", "daemon")      # passd: control, workers


def joined(near, far):
    """The pair, once a byte has come through: only then is it relayed."""
    for sock in (near, far):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(TIMEOUT)
    near.send(b"!")
    if far.recv(1) != b"!":
        raise LinkError("a connection was closed instead of relayed")
    for sock in (near, far):
        sock.setblocking(True)
    return near, far


uids = itertools.count(FIRST_UID)


def as_other_user():
    """How to start a program as the next user; nothing to do unless root."""
    if os.getuid() != 0:
        return []
    uid = next(uids)
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid),
            "--clear-groups"]


def children():
    """Process id to the ids of its children, of all processes."""
    below = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        below.setdefault(int(stat.rpartition(")")[2].split()[1]),
                         []).append(int(entry.name))
    return below


def tree_of(pid):
    """${pid} and all processes below it."""
    below, found, todo = children(), [], [pid]
    while todo:
        here = todo.pop()
        found.append(here)
        todo += below.get(here, [])
    return found


def pipe_sizes(pids):
    """The sizes of all pipes the processes hold, as the kernel says."""
    sizes = set()
    for pid in pids:
        try:
            links = list(pathlib.Path("/proc/%d/fd" % pid).iterdir())
        except OSError:
            continue
        for link in links:
            try:
                if not os.readlink(link).startswith("pipe:"):
                    continue
                fd = os.open(link, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            sizes.add(fcntl.fcntl(fd, F_GETPIPE_SZ))
            os.close(fd)
    return sizes


class Direct:
    name, pipe = "direct", None

    def __init__(self):
        self.listener = None

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def stop(self):
        if self.listener is not None:
            self.listener.close()

    def pids(self):
        return []

    def target(self):
        return self.listener.getsockname()

    def open(self, count, where=0):
        del where
        return [self._one() for _ in range(count)]

    def _one(self):
        self.listener.settimeout(TIMEOUT)
        near = socket.create_connection(self.target(), TIMEOUT)
        far, _ = self.listener.accept()
        return joined(near, far)


class Process(Direct):
    """A relay of one process with a listener we make and hand over."""

    def __init__(self):
        super().__init__()
        self.front = self.process = None

    def start(self):
        super().start()
        self.front = socket.create_server(("127.0.0.1", 0), backlog=512)
        fd = self.front.fileno()
        # Another user may not be let into the directory that we are in.
        self.process = subprocess.Popen(
            self.command(fd, self.listener.getsockname()[1]), pass_fds=[fd],
            cwd="/")
        for near, far in self.open(1):
            near.close()
            far.close()

    def command(self, fd, port):
        raise NotImplementedError

    def target(self):
        return self.front.getsockname()

    def pids(self):
        return tree_of(self.process.pid)

    def stop(self):
        super().stop()
        if self.front is not None:
            self.front.close()
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


class Bare(Process):
    def __init__(self, program, pipe):
        super().__init__()
        self.name, self.program, self.pipe = "bare", program, pipe

    def command(self, fd, port):
        return as_other_user() + [self.program, str(fd), str(port),
                                    str(self.pipe)]


# splice-auto would decide by itself when to splice, and mostly not do it.
HAPROXY_CONF = """\
global
    maxconn 4096
    tune.pipesize %d
defaults
    mode tcp
    option splice-request
    option splice-response
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind fd@%d
    server end 127.0.0.1:%d
"""


class HAProxy(Process):
    def __init__(self, program, pipe, directory):
        super().__init__()
        self.name, self.program, self.pipe = "HAProxy", program, pipe
        self.conf = pathlib.Path(directory) / ("haproxy-%d.cfg" % pipe)

    def command(self, fd, port):
        self.conf.write_text(HAPROXY_CONF % (self.pipe, fd, port))
        self.conf.chmod(0o644)
        return as_other_user() + [self.program, "-q", "-db", "-f",
                                       str(self.conf)]


PASSD_CONF = """\
component "pass.bench.example"
server 127.0.0.1 port %d
secret file "%s"
ports 20000:23999
rendezvous ports 24000:27999
listen on 127.0.0.1 advertise 127.0.0.1
allow "bench.example"
quota default {
    ports 4000
    sessions 256 per port, 4096 in all
    pending 64 per port
}
"""


class Passd:
    """passd, its XMPP server and its user played by us."""

    name, pipe = "passd", None

    def __init__(self, program, worker, directory, ports):
        self.program, self.worker = program, worker
        self.dir = pathlib.Path(directory)
        self.wanted = ports
        self.ports = []
        self.server = self.process = self.log = self.user = None

    def start(self):
        secret = secrets.token_hex(16)
        self.server = FakeServer(secret)
        conf, key = self.dir / "passd.conf", self.dir / "secret"
        key.touch(0o600)
        key.write_text(secret)
        conf.write_text(PASSD_CONF % (self.server.port, key))
        command = [self.program, "-d", "-f", str(conf), "-x", self.worker]
        if os.getuid() == 0:
            empty = self.dir / "empty"
            empty.mkdir(0o755)
            command += ["-u", PASSD_USERS[0], "-w", PASSD_USERS[1],
                        "-c", str(empty)]
        self.log = (self.dir / "passd.log").open("wb")
        self.process = subprocess.Popen(command, stderr=self.log,
                                        stdin=subprocess.DEVNULL)
        if not self.server.ready.wait(TIMEOUT):
            raise LinkError("passd did not connect:\n" + self.log_tail())
        self.user = User(self.server, "user@bench.example/one")
        self.ports = self._first_port() + self.user.register(self.wanted - 1)

    def _first_port(self):
        """The link may be up before passd is ready for registrations."""
        for _ in range(100):
            try:
                return self.user.register(1)
            except LinkError as error:
                why = error
                time.sleep(0.02)
        raise why

    def log_tail(self):
        text = (self.dir / "passd.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-15:])

    def pids(self):
        return tree_of(self.process.pid)

    def workers(self):
        """The spawner's children; no other process of passd has any."""
        below = children()
        return [pid for child in below.get(self.process.pid, [])
                for pid in below.get(child, [])]

    def open(self, count, where=0, spread=False):
        """Sessions on port number ${where}; spread: one a port."""
        pairs = []
        for i in range(count):
            port = self.ports[where + i if spread else where]
            near = socket.create_connection(("127.0.0.1", port), TIMEOUT)
            far = self.user.accept_next()
            pairs.append(joined(near, far))
        return pairs

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            tree = self.pids()
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self._kill(tree)
                self.process.wait(5)
        if self.server is not None:
            self.server.close()
        if self.log is not None:
            self.log.close()

    def _kill(self, tree):
        print("passd did not stop within 15 s and was killed", flush=True)
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.2)
