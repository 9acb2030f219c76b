# SPDX-License-Identifier: ISC
"""passd as a daemon: options, processes, signals, deaths."""

import functools
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import daemon
import tcp

ROLES = ["parent", "control", "spawner"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def at(port):
    return ("127.0.0.1", port)


def relay(client, port):
    """A peer and a leg, joined."""
    peer = tcp.connect(at(port))
    request = client.request()
    request.accept()
    leg = tcp.connect(client.daemon.bound(request.proxy))
    tcp.joined(peer, leg)
    return peer, leg


def reload(passd, wanted):
    mark = passd.mark()
    passd.hup()
    return passd.wait_log(wanted, since=mark)


# Options and configuration; the fake server is there, unused.

@pytest.fixture
def idle(fake, launch):
    """A passd that is not started."""
    passd = launch(fake, fake.people, start=False)
    passd.write()
    return passd


def test_version(idle):
    run = idle.run("-V")
    assert run.returncode == 0
    assert re.match(r"passd \S+", run.stdout + run.stderr)


def test_check(idle):
    run = idle.run("-n")
    assert (run.returncode, run.stdout) == (0, "")
    assert "configuration OK" in run.stderr


def test_check_needs_nothing_but_the_file(idle):
    """No secret, no server, no privilege."""
    idle.secret.unlink()
    idle.config.server = '"no-such-host.invalid" port 5347'
    idle.write()
    command = [idle.program, "-n", "-f", str(idle.conf)]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=nobody", "--clear-groups"] + command
    assert os.spawnvp(os.P_WAIT, command[0], command) == 0


def test_printed_configuration_is_read_again(idle):
    printed = idle.run("-nv")
    assert printed.returncode == 0
    idle.conf.write_text(printed.stdout)
    again = idle.run("-nv")
    assert again.returncode == 0 and again.stdout == printed.stdout
    for word in ("answer 2s", "rendezvous ports", "advertise 198.51.100.7"):
        assert word in printed.stdout


def test_example_configuration(idle):
    """etc/passd.conf as it is delivered."""
    example = Path(__file__).parents[2] / "etc" / "passd.conf"
    run = subprocess.run([idle.program, "-n", "-f", str(example)],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_all_errors_at_once(idle):
    idle.conf.write_text("component \"pass.example.test\"\n"
                         "ports 1:2:3\n"
                         "server 127.0.0.1 port 99999\n"
                         "bogus\n"
                         "timeout { answer 5parsecs }\n")
    run = idle.run("-n")
    assert run.returncode == 1
    for line in (2, 3, 4, 5):
        assert re.search(r"^.*passd\.conf:%d: \S" % line, run.stderr,
                         re.MULTILINE), run.stderr


@pytest.mark.parametrize("statement", [
    "transfer 20G per 1d", "bandwidth 10M", "registrations 30 per 1m",
    "connections 60 per 1m", "session length 12h"])
def test_what_is_not_enforced_does_not_parse(idle, statement):
    idle.config.quota[statement] = ""
    idle.write()
    run = idle.run("-n")
    assert run.returncode == 1
    assert statement.split()[0] in run.stderr


@pytest.mark.parametrize("arguments", [["-Z"], ["-n", "surplus"]])
def test_usage(idle, arguments):
    run = idle.run(*arguments)
    assert run.returncode == 1 and "usage:" in run.stderr


def test_missing_configuration(idle):
    idle.conf.unlink()
    for option in ("-n", "-d"):
        run = idle.run(option)
        assert run.returncode == 1 and "passd.conf" in run.stderr


def test_bad_configuration_does_not_start(idle):
    idle.conf.write_text("nonsense\n")
    run = idle.run("-d")
    assert run.returncode == 1
    assert "passd.conf:1:" in run.stderr


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_secret_that_others_can_read(idle, mode):
    idle.secret.chmod(mode)
    run = idle.run("-d")
    if mode == 0o640 and run.returncode != 1:
        pytest.skip("group may read")
    assert run.returncode == 1
    assert str(idle.secret) in run.stderr


@pytest.mark.parametrize("content", ["", "\n"])
def test_empty_secret(idle, content):
    idle.secret.write_text(content)
    run = idle.run("-d")
    assert run.returncode == 1 and "secret" in run.stderr


def test_missing_secret(idle):
    idle.secret.unlink()
    run = idle.run("-d")
    assert run.returncode == 1 and str(idle.secret) in run.stderr


@needs_root
def test_missing_worker_user(idle):
    """Workers never run as root; the message says what to do."""
    argv = idle.argv("-d")
    argv[argv.index("-w") + 1] = "no-such-user"
    run = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    assert run.returncode == 1
    assert "no-such-user" in run.stderr and "useradd" in run.stderr


@needs_root
@pytest.mark.parametrize("user", ["root", "0"])
def test_root_as_worker_user(idle, user):
    argv = idle.argv("-d")
    argv[argv.index("-w") + 1] = user
    run = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    assert run.returncode == 1 and run.stderr


# Processes.

def test_titles(start):
    passd = start()
    alice = passd.client("alice")
    ports = sorted(alice.register() for _ in range(2))
    pids = [passd.process.pid] + daemon.descendants(passd.process.pid)
    titles = sorted(daemon.title(pid) for pid in pids)
    assert titles == sorted(
        ["passd: " + role for role in ROLES]
        + ["passd: worker %d" % port for port in ports])
    spawner = passd.one("spawner")
    for worker in passd.kin("worker"):
        assert daemon.stat(worker)[1] == str(spawner)


def test_worker_leaves_with_its_port(start):
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    peer, leg = relay(alice, port)
    worker = passd.one("worker")
    assert alice.close_port(port).ok
    time.sleep(0.3)
    assert daemon.alive(worker)     # the relay lives
    tcp.hang_up(peer, leg)
    end = time.monotonic() + 3
    while daemon.state(worker) != "X":      # neither alive nor unreaped
        assert time.monotonic() < end, daemon.state(worker)
        time.sleep(0.02)


def test_killed_by_the_filter(start):
    """The log says who did it, and the rest goes on."""
    passd = start()
    passd.crashes_expected = True
    alice = passd.client("alice")
    port, other = alice.register(), alice.register()
    victim = [pid for pid in passd.kin("worker")
              if daemon.title(pid) == "passd: worker %d" % port][0]
    os.kill(victim, signal.SIGSYS)
    passd.wait_log(r"worker died port=%d .*signal=31 .*filter.*passd -V"
                   % port)
    alice.notice(["close", "proxy"], port)
    relay(alice, other)


def descriptors(pid):
    found = []
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            found.append(os.readlink("/proc/%d/fd/%s" % (pid, name)))
        except FileNotFoundError:
            pass
    return found


@needs_root
def test_descriptors_do_not_leak(start):
    passd = start(count=90)
    alice = passd.client("alice")

    def one():
        port = alice.register()
        tcp.hang_up(*relay(alice, port))
        assert alice.close_port(port).ok
        assert tcp.wait_refused(at(port))

    def count():
        time.sleep(0.3)
        return [len(descriptors(pid)) for pid in (
            passd.process.pid, passd.one("control"), passd.one("spawner"))]
    one()
    before = count()
    for _ in range(20):
        one()
    assert count() == before


def test_background(idle, fake):
    """Without -d it leaves the terminal and goes on."""
    before = set(daemon.children(os.getpid()))
    assert idle.run().returncode == 0
    assert fake.up.wait(5)
    new = [pid for pid in daemon.children(os.getpid())
           if pid not in before and daemon.title(pid) == "passd: parent"]
    assert len(new) == 1
    family = [new[0]] + daemon.descendants(new[0])
    assert len(family) == 3
    assert os.getsid(new[0]) != os.getsid(0)
    os.kill(new[0], signal.SIGTERM)
    end = time.monotonic() + 5
    while any(daemon.alive(pid) for pid in family):
        assert time.monotonic() < end
        time.sleep(0.05)
    daemon.reap()


def test_few_descriptors(start):
    """More ports than descriptors: 502, and those who are in stay."""
    passd = start(start=False, count=90, quota={
        "ports": "60", "sessions": "1 per port, 60 in all"})
    passd.wrap = ["prlimit", "--nofile=100:100"]
    passd.start()
    passd.wait_log(r"descriptors=100 ")
    alice = passd.client("alice")
    ports = []
    while (reply := alice.query()).ok:
        ports.append(reply.entities("server")[0][1])
    assert reply.error.same(502, "wait", "service-unavailable")
    assert len(ports) >= 8
    pairs = [relay(alice, port) for port in ports]
    for peer, leg in pairs:
        tcp.joined(peer, leg)
    assert alice.query().error.code == 502
    assert alice.close_port(ports[0]).ok
    tcp.hang_up(*pairs[0])
    passd.wait_log(r"ended port=%d " % ports[0])
    end = time.monotonic() + 3
    while not alice.query().ok:
        assert time.monotonic() < end
        time.sleep(0.1)


# Deaths.

def test_worker_killed(start):
    """Only its port dies; the owner is told; the log names the signal."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    port, other = alice.register(), bob.register()
    peer, leg = relay(alice, port)
    peer2, leg2 = relay(bob, other)
    victim = [pid for pid in passd.kin("worker")
              if daemon.title(pid) == "passd: worker %d" % port][0]
    mark = passd.mark()
    os.kill(victim, signal.SIGKILL)
    alice.notice(["close", "proxy"], port)
    assert tcp.ending(peer) and tcp.ending(leg)
    passd.wait_log(r"closed port=%d jid=%s cause=worker-died"
                   % (port, alice.jid), since=mark)
    passd.wait_log(r"(?i)\b(SIG)?KILL|signal[ =]9", since=mark)
    assert tcp.wait_refused(at(port))
    tcp.joined(peer2, leg2)
    assert alice.ports() == set() and bob.ports() == {other}
    alice.silent()
    bob.silent(0)
    relay(alice, alice.register())


@pytest.mark.parametrize("sig", [signal.SIGSEGV, signal.SIGABRT])
def test_worker_crashed(start, sig):
    """A crash may be an attack: a new spawner with a new layout; those
    who are there already stay."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    port, other = alice.register(), bob.register()
    peer2, leg2 = relay(bob, other)
    victim = [pid for pid in passd.kin("worker")
              if daemon.title(pid) == "passd: worker %d" % port][0]
    os.kill(victim, sig)
    alice.notice(["close", "proxy"], port)
    passd.wait_log(r"(?i)SEGV|ABRT|signal[ =]\d+")
    tcp.joined(peer2, leg2)
    end = time.monotonic() + 10
    while not bob.query().ok:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_spawner_killed(start):
    """Restarted; new registrations work again.  Its workers may die with
    it, but then the owners are told."""
    passd = start()
    passd.crashes_expected = True
    alice = passd.client("alice")
    port = alice.register()
    old = passd.one("spawner")
    os.kill(old, signal.SIGKILL)
    end = time.monotonic() + 10
    while not (reply := passd.client("bob").query()).ok:
        assert reply.error.type == "wait" or reply.error.code == 503, reply
        assert time.monotonic() < end
        time.sleep(0.2)
    assert passd.one("spawner") != old
    if port in alice.ports():
        relay(alice, port)
    else:
        alice.notice(["close", "proxy"], port)
        relay(alice, alice.register())


def test_parent_killed(start):
    """Without the parent nobody stays."""
    passd = start()
    passd.client("alice").register()
    family = daemon.descendants(passd.process.pid)
    assert len(family) == 3
    os.kill(passd.process.pid, signal.SIGKILL)
    passd.process.wait()
    daemon.Passd.running.discard(passd.process.pid)
    passd.process = None
    end = time.monotonic() + 5
    while left := [daemon.title(pid) for pid in family if daemon.alive(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)
    daemon.reap()


# SIGTERM.

def test_stop(start):
    """Listeners close at once, relays get timeout stop, then nothing is
    left; pending peers are dropped."""
    passd = start()
    alice = passd.client("alice")
    port, other = alice.register(), alice.register()
    peer, leg = relay(alice, port)
    waiting = tcp.connect(at(other))
    alice.request()
    began = time.monotonic()
    passd.process.send_signal(signal.SIGTERM)
    assert tcp.ending(waiting)
    assert tcp.wait_refused(at(other), 1) and tcp.wait_refused(at(port), 1)
    tcp.joined(peer, leg)
    assert passd.alive()
    assert passd.process.wait(6) == 0
    assert 1.5 < time.monotonic() - began < 5
    assert tcp.ending(peer) and tcp.ending(leg)
    assert passd.logged(r"closed port=%d .*cause=shutdown" % port) == 1
    assert passd.logged(r"ended port=%d .*cause=shutdown" % port) == 1


def test_stop_waits_for_relays_no_longer_than_they_last(start):
    passd = start(timeout={"stop": "20s"})
    alice = passd.client("alice")
    peer, leg = relay(alice, alice.register())
    passd.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    tcp.joined(peer, leg)
    peer.sendall(b"last words")
    peer.close()
    assert tcp.read_all(leg) == b"last words"
    leg.close()
    assert passd.process.wait(5) == 0


def test_stop_tells_owners(start):
    """Without a state file the ports are lost: close notifications."""
    passd = start()
    alice = passd.client("alice")
    ports = {alice.register() for _ in range(2)}
    passd.process.send_signal(signal.SIGTERM)
    told = {alice.next().proxy[1] for _ in ports}
    assert told == ports
    assert passd.process.wait(5) == 0


def test_registration_while_stopping(start):
    """503, and nothing new."""
    passd = start(timeout={"stop": "20s"})
    alice = passd.client("alice")
    peer, leg = relay(alice, alice.register())      # it waits for this one
    passd.process.send_signal(signal.SIGTERM)
    passd.wait_log(r"closed port=\d+ .*cause=shutdown")
    waiting = alice.user.iq_async(passd.jid, "set",
                                  "<query xmlns='jabber:iq:pass'/>")
    reply = waiting()
    assert reply.error.condition in (
        "service-unavailable", "remote-server-timeout",
        "remote-server-not-found", "forbidden"), reply
    tcp.hang_up(peer, leg)


def test_stop_with_link_down(fake, launch):
    passd = launch(fake, fake.people)
    passd.client("alice").register()
    fake.stop_listening()
    fake.stream.close()
    passd.wait_log(r"link down")
    began = time.monotonic()
    passd.process.send_signal(signal.SIGTERM)
    assert passd.process.wait(6) == 0
    assert time.monotonic() - began < 4
    fake.listen()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_end(idle, sig):
    idle.start()
    idle.process.send_signal(sig)
    assert idle.process.wait(5) == 0


def test_two_sigterms(start):
    passd = start()
    alice = passd.client("alice")
    relay(alice, alice.register())
    for _ in range(3):
        passd.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert passd.process.wait(6) == 0


# SIGHUP.

def test_reload(start):
    """Limits, rules and timeouts change; ports and relays do not."""
    passd = start()
    alice, mallory = passd.client("alice"), passd.client("mallory")
    port = alice.register()
    peer, leg = relay(alice, port)
    assert mallory.query().error.code == 403
    passd.config.rules = ['allow "example.test"']
    passd.config.quota["ports"] = "2"
    passd.config.quota["lifetime"] = "2m"
    passd.write()
    reload(passd, r"(?i)reload")
    end = time.monotonic() + 3
    while not (reply := mallory.query()).ok:
        assert time.monotonic() < end, reply
        time.sleep(0.1)
    assert reply.text("expire") == "120"
    tcp.joined(peer, leg)
    assert alice.register()
    assert alice.query().error.own.get("limit") == "2"
    assert port in alice.ports()


def test_reload_of_a_bad_file(start):
    passd = start()
    alice = passd.client("alice")
    port = alice.register()
    peer, leg = relay(alice, port)
    passd.conf.write_text(passd.config.text() + "utter nonsense\n")
    reload(passd, r"passd\.conf:\d+: ")
    tcp.joined(peer, leg)
    assert alice.register() and alice.ports() > {port}
    passd.conf.unlink()
    reload(passd, r"passd\.conf")
    assert alice.register()
    passd.write()
    reload(passd, r"(?i)reload")


def test_many_reloads(start):
    passd = start()
    alice = passd.client("alice")
    for _ in range(20):
        passd.hup()
        time.sleep(0.01)
    assert alice.register()
    assert len(daemon.descendants(passd.process.pid)) == 3


# The real server is restarted.

def test_server_restart(restartable, launch):
    """Relays go on, what is due is told after the reconnection, and all
    works again within seconds.  A gate in front of the server lets the
    owner in first, else the notice could find him away."""
    server, people = restartable
    gate = functools.partial(tcp.unix_proxy, server.component)
    with gate(late=True) as path:
        with gate(path):
            passd = launch(server, people, server='"%s"' % path)
            alice = passd.client("alice")
            port, expiring = alice.register(), alice.register(expire=2)
            peer, leg = relay(alice, port)
            mark = passd.mark()
            server.stop()
            passd.wait_log(r"link down reason=", since=mark)
        tcp.joined(peer, leg)
        passd.wait_log(r"closed port=%d .*cause=expired" % expiring,
                       since=mark)
        server.start()
        alice.user.again()
        tcp.joined(peer, leg)
        with gate(path):
            passd.wait_log(r"link up ", 15, mark)
            alice.notice(["expire", "close", "proxy"], expiring)
            assert port in alice.ports()
            tcp.joined(peer, leg)
            tcp.hang_up(peer, leg)
            passd.wait_log(r"ended port=%d .*cause=eof" % port)
            relay(alice, port)


def test_server_killed(restartable, launch):
    server, people = restartable
    passd = launch(server, people)
    alice = passd.client("alice")
    port = alice.register()
    peer, leg = relay(alice, port)
    mark = passd.mark()
    server.stop(signal.SIGKILL)
    passd.wait_log(r"link down reason=", since=mark)
    server.start()
    alice.user.again()
    passd.wait_log(r"link up ", 10, mark)
    tcp.joined(peer, leg)
    assert alice.ports() == {port}
