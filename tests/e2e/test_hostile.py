# SPDX-License-Identifier: ISC
"""Workers and spawners that somebody has taken, against a live control:
whatever they send costs them their life and their port, and nobody else
anything."""

import os
import threading
import time
from pathlib import Path

import pytest

import daemon
import ports
import servers
import taken
import tcp

PLAIN_CLOSE = ["close", "proxy"]
QUOTAS = """
quota "dave@%s" { pending %d per port }
quota "mallory@%s" { pending %d per port }
"""


def descriptors(pid):
    """Where each leads; only root may look."""
    found = []
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            found.append(os.readlink("/proc/%d/fd/%s" % (pid, name)))
        except FileNotFoundError:
            pass
    return found


def memory(pid):
    return int(Path("/proc/%d/statm" % pid).read_text().split()[1]) * 4096


def wait(condition, what, timeout=15):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.01)


class Echo(threading.Thread):
    """Another user's relay: bytes go round all the time, and are checked."""

    def __init__(self, peer, leg):
        super().__init__(daemon=True)
        self.peer, self.leg = peer, leg
        self.over = False
        self.rounds = 0
        self.error = None
        self.start()

    def run(self):
        try:
            while not self.over:
                tcp.joined(self.peer, self.leg,
                           b"%d " % self.rounds + os.urandom(3000))
                self.rounds += 1
                time.sleep(0.005)
        except Exception as error:
            self.error = error

    def check(self):
        """It has gone on."""
        before = self.rounds
        wait(lambda: self.error or self.rounds > before + 1, "no byte came")
        assert self.error is None, self.error

    def end(self):
        self.over = True
        self.join(15)
        assert self.error is None and not self.is_alive(), self.error
        assert self.rounds > 3
        tcp.hang_up(self.peer, self.leg)


class Scene:
    """A passd with a worker program that can be taken, two others' relays
    in it, and the books of what control had before."""

    def __init__(self, passd, mallory=taken.SILENT, program=None):
        self.passd = passd
        passd.worker = program or taken.program()
        passd.crashes_expected = True
        passd.config.extra = QUOTAS % (servers.DOMAIN, taken.WORKER,
                                       servers.DOMAIN, mallory)
        passd.config.rules = ['allow "%s"' % servers.DOMAIN]
        passd.start()
        self.dave = passd.client("dave")
        self.mallory = passd.client("mallory")
        self.carol = passd.client("carol")
        self.relays = [Echo(*self.relay(passd.client(name)))
                       for name in ("alice", "bob")]
        self.control = passd.one("control")
        self.spawner = passd.one("spawner")
        self.settle()

    def settle(self):
        """Note how things are when nothing is under way."""
        self.before = self.look()
        self.size = memory(self.control)

    def look(self):
        """How many descriptors control has."""
        return (len(descriptors(self.control)) if os.geteuid() == 0 else 0)

    def relay(self, client):
        port = client.register()
        peer = tcp.connect(("127.0.0.1", port))
        request = client.request()
        request.accept()
        return peer, tcp.connect(self.passd.bound(request.proxy))

    def worker_of(self, port, since=0):
        """The process id of a port's worker."""
        match = self.passd.wait_log(
            r"worker started port=%d pid=(\d+)" % port, 15, since)
        return int(match[1])

    def new_user_works(self):
        port = self.carol.register(timeout=15)
        assert self.carol.close_port(port).ok

    def check(self, long=False):
        """Nobody else has noticed."""
        for relay in self.relays:
            relay.check()
        assert self.passd.one("control") == self.control
        wait(lambda: self.look() == self.before, lambda: "descriptors: %s" %
             descriptors(self.control))
        if long:
            self.new_user_works()

    def end(self):
        self.check(True)
        for relay in self.relays:
            relay.end()
        grown = memory(self.control) - self.size
        # AddressSanitizer keeps what was freed.
        assert grown < (300 << 20), "%d bytes more" % grown
        for client in (self.dave, self.mallory):
            client.silent(0.1)


@pytest.fixture
def scene(fake, launch):
    """scene(program, mallory, count): a Scene."""
    def scene(program=None, mallory=taken.SILENT, count=60):
        return Scene(launch(fake, fake.people, start=False, count=count),
                     mallory, program)
    return scene


@pytest.fixture
def real_scene(start):
    """real_scene(count): a Scene on a real server."""
    def real_scene(count):
        return Scene(start(start=False, count=count))
    return real_scene


class Victim:
    """A port whose worker is taken, brought into a state."""

    def __init__(self, scene, state="open"):
        self.scene, self.state = scene, state
        self.mark = scene.passd.mark()
        self.client = scene.mallory if state == "starting" else scene.dave
        if state == "starting":
            self.answer = self.client.user.iq_async(
                self.client.service, "set", "<query xmlns='jabber:iq:pass'/>")
            match = scene.passd.wait_log(
                r"worker started port=(\d+) pid=(\d+)", 15, self.mark)
            self.port, self.pid = int(match[1]), int(match[2])
        else:
            self.port = self.client.register(timeout=15)
            self.pid = scene.worker_of(self.port, self.mark)
        self.puppet = taken.Puppet(self.port)
        if state != "starting":
            getattr(self, state)()

    def open(self):
        pass

    def asked(self):
        self.puppet.say(taken.CLIENT, 1)
        self.request = self.client.request(15)

    def accepted(self):
        self.asked()
        self.request.accept()
        self.puppet.command(taken.ANSWER)

    def relay(self):
        self.accepted()
        self.puppet.say(taken.PAIRED, 1)

    def closing(self):
        self.relay()
        assert self.client.close_port(self.port).ok

    def gone(self):
        assert self.client.close_port(self.port).ok
        self.puppet.say(taken.GONE)
        self.puppet.order("N")          # it has been sent, at least

    def logged(self, what):
        self.scene.passd.wait_log(
            r"worker %s port=%d pid=%d " % (what, self.port, self.pid), 15,
            self.mark)

    def violation(self, why=""):
        self.scene.passd.wait_log(
            r"error worker port=%d pid=%d violation: .*%s.*; killed" % (
                self.port, self.pid, why), 15, self.mark)

    def dead(self):
        wait(lambda: not daemon.alive(self.pid),
             "worker %d lives" % self.pid)
        self.puppet.close()

    def told(self):
        """The owner hears of it, once; or his registration is answered."""
        if self.state == "starting":
            assert self.answer(15).error.same(
                500, "wait", "internal-server-error")
        elif self.state not in ("closing", "gone"):
            while (notice := self.client.next(15)).is_request:
                pass                    # a client that the worker made up
            assert notice.names == PLAIN_CLOSE, notice
            assert notice.proxy[1] == self.port
            notice.accept()
        assert tcp.wait_refused(("127.0.0.1", self.port), 15)


def perform(scene, attack, other, longest):
    """One attack, and what has to come of it."""
    victim = Victim(scene, attack.state)
    data = attack.text(other, longest.get(attack.kind, 48))
    victim.puppet.send(data, flags=attack.flags,
                       kinds=(attack.fd,) * attack.nfds)
    if attack.allowed:
        # It takes a wrong one behind it to be killed.
        victim.puppet.order("N")
        assert not scene.passd.logged("port=%d .*violation" % victim.port,
                                      victim.mark), attack
        victim.puppet.say(taken.READY)
        if attack.kind == taken.READY:
            victim.state = "open"
            assert victim.answer(15).ok
    if attack.is_end and attack.state == "gone":
        return victim           # no line: it had said that it goes
    if attack.is_end:
        scene.passd.wait_log(
            r"cause=worker-died|worker died port=%d" % victim.port, 15,
            victim.mark)
        return victim
    victim.violation()
    victim.dead()
    return victim


@pytest.mark.limit(120)
@pytest.mark.parametrize("part", [
    0, pytest.param(1, marks=pytest.mark.slow)])
def test_messages_of_a_worker(real_scene, server, part):
    """Type, length, version, id, sequence, descriptors and state, each wrong
    by itself and in pairs; a quarter on each server a time."""
    scene = real_scene(570)
    other = Victim(scene)
    rows, longest = taken.attacks(other.puppet.table())
    mine = rows[2 * part + (server.name == "prosody")::4]
    others_id = 1
    scene.settle()
    late = []
    for number, attack in enumerate(mine):
        try:
            victim = perform(scene, attack, others_id, longest)
            victim.told()
            if attack.is_end:
                late.append(victim)
            scene.check(number % 20 == 0)
        except AssertionError as failure:
            raise AssertionError("%s: %s\n%s" % (
                attack, failure, scene.passd.tail())) from failure
    for victim in late:
        victim.dead()
    assert daemon.alive(other.pid)
    other.puppet.say(taken.READY)
    other.violation("not allowed in this state")
    other.dead()
    other.told()
    scene.before -= 1
    print(len(mine), "attacks, relays went round",
          [relay.rounds for relay in scene.relays])
    scene.end()


# Floods.

def test_flood_of_summaries(scene):
    """Each is a line in the log: only so many, and that was it."""
    scene = scene()
    victim = Victim(scene)
    victim.puppet.say(taken.REFUSED, count=5000)
    victim.violation("too many REFUSED")
    victim.dead()
    victim.told()
    assert scene.passd.logged("refused port=%d " % victim.port) <= 620
    scene.end()


def test_flood_of_legs(scene):
    scene = scene()
    victim = Victim(scene, "asked")
    victim.puppet.say(taken.LEG, 1, 1, count=1000)
    victim.violation("too many LEG")
    victim.dead()
    victim.told()
    assert scene.passd.logged("leg port=%d " % victim.port) <= 8
    scene.end()


def test_flood_of_rubbish(scene):
    """Of many wrong messages the first is one too many."""
    scene = scene()
    for data in (taken.message(taken.ENDED, 9), b"x" * 2113, b"\0" * 16):
        victim = Victim(scene, "relay")
        victim.puppet.send(data, 5000, taken.WAIT)
        victim.violation()
        victim.dead()
        victim.told()
        assert scene.passd.logged("port=%d .*violation" % victim.port) == 1
        scene.check()
    scene.end()


def test_clients_without_end(scene):
    """It makes up more than it could have room for."""
    scene = scene(count=300)
    victim = Victim(scene)
    try:
        for session in range(1, 400):
            victim.puppet.say(taken.CLIENT, session)
    except (tcp.EndOfStream, ConnectionError):
        pass
    victim.violation("too many clients|does not read")
    victim.dead()
    victim.told()
    scene.end()


def test_never_reads(scene):
    """What is sent to it is kept within bounds, then it is given up."""
    scene = scene(count=200)
    victim = Victim(scene)
    for _ in range(2000):
        if not (victim.puppet.say(taken.CLIENT, 1) and
                victim.puppet.say(taken.ENDED, 1)):
            break
    victim.violation("does not read its messages")
    victim.dead()
    victim.told()
    scene.end()


def test_flood_of_clients(scene):
    """Clients that come and go, all in order, as fast as they can: the
    others' relays and registrations go on, and nothing is left of it."""
    scene = scene(count=200)
    victim = Victim(scene)
    for number in range(400):
        victim.puppet.say(taken.CLIENT, 1)
        victim.puppet.command(taken.RENDEZVOUS)
        victim.puppet.say(taken.ENDED, 1)
        if number % 100 == 50:
            scene.new_user_works()
    victim.puppet.say(taken.READY)
    victim.violation("not allowed in this state")
    victim.dead()
    victim.told()
    scene.end()


# Those who do not do what they have to.

def test_never_ready(scene):
    scene = scene()
    victim = Victim(scene, "starting")
    assert victim.answer(15).error.same(500, "wait", "internal-server-error")
    scene.passd.wait_log(r"worker port=%d did not start in time"
                         % victim.port)
    victim.dead()
    scene.end()


def test_closes_its_channel_and_lives(scene):
    """Control takes the end of its channel for its death, and sees to it."""
    scene = scene()
    victim = Victim(scene, "relay")
    victim.puppet.order("C")
    victim.dead()
    victim.told()
    victim.logged("died")
    scene.end()


def test_does_not_leave(scene):
    """The owner has closed the port, and somebody goes on to listen."""
    scene = scene()
    victims = [Victim(scene), Victim(scene, "gone")]
    assert scene.dave.close_port(victims[0].port).ok
    for victim in victims:
        victim.state = "gone"
        scene.passd.wait_log(r"worker port=%d pid=%d did not leave in time"
                             % (victim.port, victim.pid), 20)
        victim.dead()
        victim.told()
    scene.end()


@pytest.mark.parametrize("how", [("E", 0), ("E", 3), ("K", 15)])
def test_goes_without_a_word(scene, how):
    scene = scene()
    victim = Victim(scene, "relay")
    victim.puppet.order(*how, answered=False)
    victim.logged("died")
    victim.dead()
    victim.told()
    scene.end()


# Descriptors that hurt whoever closes them.

def hold_up(scene):
    """Send control a peer's connection whose close waits for the peer."""
    victim = Victim(scene)
    slow = tcp.connect(victim.puppet.address, rcvbuf=4096)
    victim.puppet.order("L")
    victim.puppet.send(taken.message(taken.GONE),
                       kinds=(taken.LINGERING,))
    return victim, slow


def test_the_filter_keeps_descriptors(scene, workdir):
    """Closing such a socket would hold up control and with it everybody;
    so that no taken worker can send one, sendmsg(2) is not in the filter."""
    scene = scene(taken.caged(workdir))
    victim, slow = hold_up(scene)
    victim.logged(r"died")
    scene.passd.wait_log(
        r"worker died port=%d .*signal=31 .*filter of system calls"
        % victim.port, since=victim.mark)
    began = time.monotonic()
    scene.new_user_works()
    assert time.monotonic() - began < 20, "control was held up"
    victim.dead()
    victim.told()
    slow.close()
    for relay in scene.relays:
        relay.check()


# Spawners.

class Spawner:
    """The spawner of a scene, taken: a registration of mallory's made it
    listen to us."""

    def __init__(self, scene):
        self.scene, self.passd = scene, scene.passd
        self.pid = self.passd.one("spawner", 15)
        self.mark = self.passd.mark()
        lo, hi = self.passd.config.ports
        known = ports.listening(lo, hi)
        self.answer = scene.mallory.user.iq_async(
            scene.mallory.service, "set", "<query xmlns='jabber:iq:pass'/>")
        wait(lambda: ports.listening(lo, hi) - known, "nobody listens")
        self.puppet = taken.Puppet((ports.listening(lo, hi) - known).pop())

    def started(self, pid=99999):
        """Say that the worker has been started, so that it is not asked of
        the next spawner."""
        self.puppet.send(taken.head(
            taken.SPAWNED, taken.struct.pack("=ii", pid, 0)), flags=taken.ID)

    def replaced(self):
        """Another one is there, and whoever has asked is answered."""
        self.puppet.close()
        wait(lambda: not daemon.alive(self.pid), "it lives", 20)
        wait(lambda: self.passd.kin("spawner") not in ([], [self.pid]),
             "no new spawner", 20)
        assert not self.answer(20).ok
        for relay in self.scene.relays:
            relay.check()
        self.scene.new_user_works()


@pytest.fixture
def spawners(scene):
    """spawners(): a Scene with a spawner that can be taken."""
    def spawners():
        made = scene(mallory=taken.SPAWNER)
        # The two relays are by the first spawner, and outlive it.
        made.spawner = None
        return made
    return spawners


def threes(names):
    """Few in one passd: the back-off grows."""
    names = list(names)
    return [names[n:n + 3] for n in range(0, len(names), 3)]


@pytest.mark.limit(60)
@pytest.mark.parametrize("names", threes(taken.TO_CONTROL), ids="-".join)
def test_messages_of_a_spawner(spawners, names):
    """It is replaced; who has a relay does not notice, and registrations
    work again after the back-off."""
    scene = spawners()
    for name in names:
        data, kinds = taken.TO_CONTROL[name]
        spawner = Spawner(scene)
        spawner.started()
        spawner.puppet.send(data, flags=0, kinds=kinds)
        scene.passd.wait_log(r"error spawner lost: \w+", 15, spawner.mark)
        spawner.replaced()
    scene.end()


@pytest.mark.limit(60)
@pytest.mark.parametrize("names", threes(taken.TO_PARENT), ids="-".join)
def test_messages_of_a_spawner_to_the_parent(spawners, names):
    scene = spawners()
    parent = scene.passd.process.pid
    for name in names:
        data, kinds = taken.TO_PARENT[name]
        spawner = Spawner(scene)
        spawner.started()
        spawner.puppet.order("P")
        spawner.puppet.send(data, flags=0, kinds=kinds)
        scene.passd.wait_log(r"error spawner pid=%d message=\d+ forbidden: "
                             r".*; killed" % spawner.pid, 15, spawner.mark)
        spawner.replaced()
        assert scene.passd.process.pid == parent and scene.passd.alive()
    scene.end()


@pytest.mark.limit(60)
def test_spawner_that_will_not_go(spawners):
    """It neither reads nor leaves: the parent sees to it."""
    scene = spawners()
    spawner = Spawner(scene)
    spawner.started()
    spawner.puppet.send(b"x", flags=0)
    scene.passd.wait_log(r"error spawner lost: ", 15, spawner.mark)
    wait(lambda: not daemon.alive(spawner.pid), "it lives", 20)
    spawner.replaced()
    scene.end()


@pytest.mark.limit(60)
def test_spawner_that_forges_the_log(spawners):
    """A line of its own is one line, and many are just many."""
    scene = spawners()
    spawner = Spawner(scene)
    spawner.started()
    spawner.puppet.order("P")
    text = b"x\n2026-01-01T00:00:00.000Z info link up server=forged\x1b[2J"
    spawner.puppet.send(taken.head(taken.LOG, taken.TEXT + text), flags=0)
    line = scene.passd.wait_log(r"^.* info x.*$", since=spawner.mark)[0]
    assert "server=forged" in line and "\x1b" not in line
    assert not scene.passd.logged("^2026-01-01")
    spawner.puppet.send(taken.head(taken.LOG, taken.TEXT + b"y" * 100),
                        5000, taken.WAIT)
    scene.check()
    spawner.replaced()
    scene.end()


@pytest.mark.limit(60)
def test_spawner_that_lies(spawners):
    """About workers that are none, are others', or live: whoever it says
    has ended may be lost, as he is in its power, but nobody else."""
    scene = spawners()
    spawner = Spawner(scene)
    spawner.started(scene.passd.process.pid)
    for kind in (taken.SPAWNED, taken.EXITED):
        for ident in (0, 77, 4294967295):
            for value in (0, -1, 1, 4711, scene.control):
                spawner.puppet.send(taken.HEADER.pack(kind, 1, ident, 0) +
                                    taken.struct.pack("=ii", value, 0),
                                    flags=0)
    spawner.puppet.send(b"", flags=0)       # cannot be told from its end
    spawner.replaced()
    scene.end()
