# SPDX-License-Identifier: ISC
"""What holds the processes of a running system, taken one by one from /proc:
started as root, and as an ordinary user."""

import collections
import ctypes
import os
import pwd
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import daemon
import fakeserver
import nameserver
import servers
import tcp

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="needs root")
CAGED = ("control", "spawner", "worker idle", "worker relaying")
EMPTY = 0               # of a capability set
LANDLOCK_CREATE_RULESET = 444
# The sets that give something; the bounding set only takes away.
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def landlock_abi():
    """The running kernel's; 0 if it has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1), 0)


def landlock_layers(*names):
    first = {"landlock-files": 1, "landlock-read": 1, "landlock-tcp": 4,
             "landlock-scope": 6}
    return {name for name in names if landlock_abi() >= first[name]}


def links(directory):
    """Where its links lead; one may vanish, as that of a look at oneself."""
    for name in os.listdir(directory):
        try:
            yield os.readlink(os.path.join(directory, name))
        except FileNotFoundError:
            pass


class Facts:
    """All that /proc tells of one process, read at once."""

    def __init__(self, pid):
        self.pid = pid
        self.title = daemon.title(pid)
        self.status = {}
        for line in Path("/proc/%d/status" % pid).read_text().splitlines():
            key, _, value = line.partition(":")
            self.status[key] = value.split()
        self.limits = {}
        for line in Path("/proc/%d/limits" % pid).read_text().splitlines():
            match = re.match(r"(Max .*?)  +(\S+) +(\S+)", line)
            if match:
                self.limits[match[1]] = (match[2], match[3])
        # Of the directory itself the owner is always the user.
        self.owner = os.stat("/proc/%d/status" % pid).st_uid
        self.open = None
        if ROOT:                # else they are not ours to see
            self.root = os.readlink("/proc/%d/root" % pid)
            self.cwd = os.readlink("/proc/%d/cwd" % pid)
            self.net = os.readlink("/proc/%d/ns/net" % pid)
            self.open = list(links("/proc/%d/fd" % pid))

    def capabilities(self, name):
        return int(self.status[name][0], 16)


def sockets():
    """The kind of each socket of this machine, by inode."""
    kinds = {}
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        kinds[line.split()[6]] = {
            "0005": "channel"}.get(line.split()[4], "unix")
    for family in ("tcp", "tcp6"):
        for line in Path("/proc/net/" + family).read_text().splitlines()[1:]:
            kinds[line.split()[9]] = (
                "listener" if line.split()[3] == "0A" else "tcp")
    return kinds


def kinds(facts, log):
    """How many descriptors of each kind it has; a kind that is not known is
    named by its link."""
    known = sockets()
    count = collections.Counter()
    for link in facts.open:
        kind = link
        if link == "/dev/null":
            kind = "null"
        elif link == str(log):
            kind = "log"
        elif link.startswith("socket:["):
            kind = known.get(link[8:-1], link)
        elif link.startswith("pipe:["):
            kind = "pipe"
        elif "eventpoll" in link:
            kind = "epoll"
        elif "pidfd" in link:
            kind = "pidfd"
        elif link.startswith("/memfd:filter"):
            kind = "filter"
        elif link.startswith("/memfd:configuration"):
            kind = "configuration"
        count[kind] += 1
    return dict(count)


def standard(sanitized):
    """stdin, stdout and stderr of all but the parent: a taken worker could
    forge lines of the log, but a sanitizer has to be heard."""
    return {"null": 2, "log": 1} if sanitized else {"null": 3}


def busy(sanitized):
    """Those of a worker with one relay; while it has any it keeps a reserve
    of four copies of /dev/null for those who are in already."""
    basic = standard(sanitized)
    return {**basic, "null": basic["null"] + 4, "channel": 1, "listener": 2,
            "tcp": 2}


class System:
    """A passd with one worker idle and one with a live relay, and what was
    seen of each process."""

    def __init__(self, passd, user):
        self.passd = passd
        self.user = user                # None: started as root
        self.alice = passd.client("alice")
        self.idle = self.alice.register()
        self.busy = self.alice.register()
        self.peer, self.leg = relay(self.alice, self.busy)
        self.look()

    def look(self):
        worker = {daemon.title(pid): pid for pid in self.passd.kin("worker")}
        self.facts = {name: Facts(pid) for name, pid in {
            "parent": self.passd.process.pid,
            "control": self.passd.one("control"),
            "spawner": self.passd.one("spawner"),
            "worker idle": worker["passd: worker %d" % self.idle],
            "worker relaying": worker["passd: worker %d" % self.busy],
        }.items()}

    def expected_user(self, name):
        """The pwd entry that a process should run as."""
        if self.user is not None:
            return self.user
        return pwd.getpwnam({"parent": "root", "control": "nobody",
                             "resolver": "nobody"}.get(name, "daemon"))


def relay(client, port):
    peer = tcp.connect(("127.0.0.1", port))
    request = client.request()
    request.accept()
    leg = tcp.connect(client.daemon.bound(request.proxy))
    tcp.joined(peer, leg)
    return peer, leg


def as_user(passd, user, wrap=()):
    """Have it started as that user; None: as root."""
    passd.wrap = list(wrap)
    if user is None or not ROOT:
        return
    passd.wrap += ["setpriv", "--reuid", str(user.pw_uid), "--regid",
                   str(user.pw_gid), "--clear-groups",
                   "--pdeathsig", "TERM"]
    os.chown(passd.secret, user.pw_uid, user.pw_gid)
    os.chown(passd.dir, user.pw_uid, user.pw_gid)


def starters():
    """Who may start it here: (name, user)."""
    if not ROOT:
        return [pwd.getpwuid(os.geteuid())]
    return [None, pwd.getpwnam("nobody")]


def starter_name(user):
    return "as-root" if user is None else "as-user"


def caged(passd, user):
    """Started and looked at."""
    as_user(passd, user)
    passd.start()
    return System(passd, user)


@pytest.fixture(params=starters(), ids=starter_name)
def user(request):
    return request.param


@pytest.fixture(scope="module", params=starters(), ids=starter_name)
def system(request, workdir, slot):
    """For all tests that only look."""
    fake = fakeserver.FakeServer(slot.single())
    directory = Path(tempfile.mkdtemp(prefix="cage-", dir=workdir))
    directory.chmod(0o755)
    passd = daemon.Passd(directory, servers.COMPONENTS[1], fake, fake.people)
    passd.window(slot.window(30))
    try:
        yield caged(passd, request.param)
    finally:
        passd.stop()
        fake.close()


@pytest.fixture(scope="module")
def sanitized(system):
    return "sanitizers=no" not in system.passd.run("-V").stdout


# One thing of every process.

def test_users(system):
    """Two users as root, no other group, and no way back."""
    for name, facts in system.facts.items():
        who = system.expected_user(name)
        assert facts.status["Uid"] == [str(who.pw_uid)] * 4, name
        assert facts.status["Gid"] == [str(who.pw_gid)] * 4, name
        if name != "parent":
            assert facts.status["Groups"] == (
                [str(who.pw_gid)] if system.user is None
                else [] if ROOT
                else Facts(os.getpid()).status["Groups"]), name
    if system.user is None:
        assert (system.facts["control"].status["Uid"]
                != system.facts["spawner"].status["Uid"])


def test_capabilities(system):
    """None in any set that gives any; the parent has what it was given."""
    ours = Facts(os.getpid())
    for name in CAGED:
        facts = system.facts[name]
        for kind in CAPABILITIES:
            assert facts.capabilities(kind) == EMPTY, (name, kind)
        # What bounds an exec that is not possible: no more than we have.
        assert facts.capabilities("CapBnd") & ~ours.capabilities(
            "CapBnd") == EMPTY, name
    parent = system.facts["parent"]
    if system.user is None:
        assert parent.capabilities("CapEff") == ours.capabilities("CapEff")
    else:
        assert parent.capabilities("CapEff") == EMPTY


def test_filters(system):
    """One for control, one for the spawner and every worker, inherited:
    never a filter a worker.  The parent has none."""
    ours = Facts(os.getpid())
    assert system.facts["parent"].status["Seccomp"] == ours.status["Seccomp"]
    before = int(ours.status["Seccomp_filters"][0])
    for name in CAGED:
        facts = system.facts[name]
        assert facts.status["Seccomp"] == ["2"], name
        assert int(facts.status["Seccomp_filters"][0]) == before + 1, name
        assert facts.status["NoNewPrivs"] == ["1"], name
    parent = system.facts["parent"].status
    assert int(parent["Seccomp_filters"][0]) == before
    assert parent["NoNewPrivs"] == ours.status["NoNewPrivs"]


@needs_root                     # others may not see it
def test_directories(system):
    """An empty root as root; in no case somebody's working directory."""
    for name in CAGED:
        facts = system.facts[name]
        if system.user is None:
            assert facts.root == os.path.realpath(system.passd.chroot), name
            assert os.listdir(facts.root) == [], name
            assert facts.cwd == facts.root, name
        else:
            assert (facts.root, facts.cwd) == ("/", "/"), name


@needs_root                     # others may not see them
def test_descriptors(system, sanitized):
    """Those that each needs, by kind, and not one more.  The parent keeps
    the channels to both workers for the next control.  A worker has the
    channel to control, its listeners (one a family) and its own relay; no
    process but the parent has a file."""
    basic = standard(sanitized)
    wanted = {
        "parent": {"null": 1, "log": 2, "channel": 4, "pipe": 2,
                   "filter": 1, "configuration": 1},
        # The pipe is libevent's.
        "control": {**basic, "channel": 4, "epoll": 1, "tcp": 1,
                    "pipe": 2},
        "spawner": {**basic, "channel": 2, "pipe": 2, "pidfd": 2},
        "worker idle": {**basic, "channel": 1, "listener": 2},
        "worker relaying": busy(sanitized),
    }
    for name, facts in system.facts.items():
        assert kinds(facts, system.passd.log) == wanted[name], (
            name, facts.open)


@needs_root
def test_descriptors_after_bulk(system, sanitized):
    """Pipes are borrowed for bulk, at most two, and a relay that has ended
    leaves nothing behind."""
    passd = system.passd
    port = system.alice.register()
    peer, leg = relay(system.alice, port)
    worker = [pid for pid in passd.kin("worker")
              if daemon.title(pid) == "passd: worker %d" % port][0]
    alone = {**standard(sanitized), "channel": 1, "listener": 2}
    peer.sendall(b"x" * 1000000)
    assert len(tcp.read_exactly(leg, 1000000)) == 1000000
    seen = kinds(Facts(worker), passd.log)
    assert seen.pop("pipe", 0) <= 4
    assert seen == busy(sanitized)
    tcp.hang_up(peer, leg)
    passd.wait_log(r"ended port=%d " % port)
    end = time.monotonic() + 10
    while (seen := kinds(Facts(worker), passd.log)) != alone:
        assert time.monotonic() < end, seen
        time.sleep(0.05)
    assert system.alice.close_port(port).ok


def test_limits(system, sanitized):
    """What each can do without: no core, no locked memory, no queue, no
    file that grows, no process but the spawner's, memory with a bound."""
    none = ("0", "0")
    for name in CAGED:
        limits = system.facts[name].limits
        assert limits["Max core file size"] == none, name
        assert limits["Max locked memory"] == none, name
        assert limits["Max msgqueue size"] == none, name
        if name != "spawner":
            assert limits["Max processes"] == none, name
        if sanitized:
            continue
        assert limits["Max file size"] == none, name
        soft, hard = limits["Max data size"]
        assert soft == hard != "unlimited", name
        if name.startswith("worker"):
            assert hard == "0", name
    assert system.facts["spawner"].limits["Max processes"] != none


def test_not_dumpable(system):
    """Whoever is not dumpable has its /proc owned by root, and a process of
    its user may neither trace it nor look at it."""
    for name in CAGED:
        facts = system.facts[name]
        assert facts.owner == 0, name
        who = system.expected_user(name)
        peek = ["readlink", "/proc/%d/exe" % facts.pid]
        if ROOT:
            peek = ["setpriv", "--reuid", str(who.pw_uid), "--regid",
                    str(who.pw_gid), "--clear-groups"] + peek
        assert subprocess.run(peek, capture_output=True).returncode != 0, name
    if system.user is not None:         # the test sees a difference
        assert system.facts["parent"].owner == system.user.pw_uid


@needs_root
def test_networks(system):
    """As root the spawner has left the network, and all workers with it."""
    ours = os.readlink("/proc/self/ns/net")
    for name in ("parent", "control"):
        assert system.facts[name].net == ours, name
    workers = {system.facts[name].net for name in CAGED[1:]}
    assert len(workers) == 1
    if system.user is not None:
        assert workers == {ours}
    elif system.passd.logged("cage incomplete.*spawner=.*empty-network"):
        pytest.skip("a container that forbids it")
    else:
        assert workers != {ours}


# What the log says of it.

def layers_said(passd, since=0):
    """{process: layers} of the line in the log."""
    line = passd.wait_log(r"\bcage (parent=none control=.*)$", since=since)[1]
    return {name: set(layers.split(",")) for name, layers in
            (word.split("=") for word in line.split())}


def test_one_line_says_it(system):
    """What holds every process, in one line at start; no more, no less."""
    said = layers_said(system.passd)
    everyone = {"rlimits", "no-new-privs", "seccomp"}
    root = {"user", "chroot"} if system.user is None else set()
    empty = root and {"empty-network"}
    if system.passd.logged("cage incomplete.*spawner=.*empty-network"):
        empty = set()
    worker = landlock_layers("landlock-files", "landlock-tcp",
                             "landlock-scope")
    assert said.pop("parent") == {"none"}
    assert said.pop("resolver") == {"unused"}
    assert said.pop("control") == everyone | root | worker
    assert said.pop("worker") == everyone | root | empty | worker
    spawner = said.pop("spawner")
    assert everyone | root | empty <= spawner <= (
        everyone | root | empty | worker)
    assert not said
    assert system.passd.logged(r"\bcage parent=") == 1
    if landlock_abi() >= 6:
        assert not system.passd.logged(
            "cage incomplete.*landlock")
    else:
        system.passd.wait_log("warn.*cage incomplete.*landlock-scope")


def test_said_again_of_a_new_process(fake, launch, user):
    """Of a process that was restarted, and of no other."""
    passd = launch(fake, fake.people, start=False)
    passd.crashes_expected = True
    as_user(passd, user)
    passd.start()
    said = layers_said(passd)
    mark = passd.mark()
    os.kill(passd.one("spawner"), signal.SIGKILL)
    line = passd.wait_log(r"\bcage (spawner=\S+ worker=\S+)$", 15, mark)[1]
    again = {name: set(layers.split(",")) for name, layers in
             (word.split("=") for word in line.split())}
    assert again == {name: said[name] for name in ("spawner", "worker")}


def test_sanitizers_are_told(system, sanitized):
    """Loudly, in a build that has them; a build that has not is silent."""
    text = "NOT for production"
    run = system.passd.run("-V")
    assert (text in run.stdout) == sanitized
    if sanitized:
        system.passd.wait_log("warn.*" + text)
    else:
        assert not system.passd.logged(text)


# The resolver; its name server is ours.

@pytest.fixture
def names(workdir, fake):
    if not (ROOT and nameserver.usable()):
        pytest.skip("needs root and a mount namespace")
    server = nameserver.NameServer(
        {"udp.test": ["127.0.0.1"], "tcp.test": ["127.0.0.1"],
         "both.test": ["::1", "127.0.0.1"], "slow.test": ["127.0.0.1"]},
        workdir)
    yield server
    server.close()


@pytest.fixture
def named(launch, fake, names, user):
    """named(host): a passd whose server has that name, not started."""
    def named(host):
        passd = launch(fake, fake.people, start=False,
                       server='"%s" port %d' % (host, fake.component))
        as_user(passd, user, names.wrap())
        return passd
    return named


@pytest.mark.parametrize("host", ["localhost", "udp.test", "both.test",
                                  "tcp.test"])
def test_names(named, names, host):
    """From the hosts file, by UDP, and by TCP when it does not fit."""
    passd = named(host).start()
    assert passd.client("alice").register()
    assert names.by_tcp == (1 if host == "tcp.test" else 0)
    assert "seccomp" in layers_said(passd)["resolver"]


def test_no_such_name(named):
    passd = named("nowhere.test")
    passd.write()
    run = subprocess.run(passd.wrap + passd.argv("-d"), text=True,
                         capture_output=True, timeout=20, cwd=passd.dir,
                         stdin=subprocess.DEVNULL)
    assert run.returncode == 1
    assert 'server "nowhere.test": Name or service not known' in run.stderr
    assert "no address, not started" in run.stderr
    assert "killed" not in run.stderr


def test_resolver_process(named, names, user):
    """While it waits for an answer: what holds it."""
    passd = named("slow.test")
    passd.spawn()
    assert names.asked.wait(20), passd.tail()
    facts = Facts(passd.one("resolver"))
    seen = kinds(facts, passd.log)
    names.go.set()
    who = user or pwd.getpwnam("nobody")
    ours = Facts(os.getpid())
    assert facts.status["Uid"] == [str(who.pw_uid)] * 4
    assert facts.status["Gid"] == [str(who.pw_gid)] * 4
    assert len(facts.status["Groups"]) == (1 if user is None else 0)
    for kind in CAPABILITIES:
        assert facts.capabilities(kind) == EMPTY, kind
    assert facts.status["Seccomp"] == ["2"]
    assert (int(facts.status["Seccomp_filters"][0])
            == int(ours.status["Seccomp_filters"][0]) + 1)
    assert facts.status["NoNewPrivs"] == ["1"]
    assert facts.owner == 0
    assert (facts.root, facts.cwd) == ("/", "/")
    # The question's socket is the only one that is not there for all.
    for kind, count in standard(
            "sanitizers=no" not in passd.run("-V").stdout).items():
        assert seen.pop(kind) == count, facts.open
    assert seen.pop("channel") == 1
    assert sum(seen.values()) == 1 and next(iter(seen)).startswith("socket:")
    for limit in ("core file size", "locked memory", "msgqueue size",
                  "processes"):
        assert facts.limits["Max " + limit] == ("0", "0"), limit
    passd.wait_log(r"\bready .*ports=", 20)
    said = layers_said(passd)["resolver"]
    assert said == {"rlimits", "no-new-privs", "seccomp"} | (
        {"user"} if user is None else set()) | landlock_layers(
            "landlock-read", "landlock-tcp", "landlock-scope")
