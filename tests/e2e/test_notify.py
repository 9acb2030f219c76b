# SPDX-License-Identifier: ISC
"""What the service manager is told (sd_notify), and the unit it reads."""

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

import daemon
import tcp

ETC = Path(__file__).parents[2] / "etc"
UNIT = ETC / "passd.service"


class Manager:
    """A service manager: a datagram socket and what came to it."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.heard = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while data := self.socket.recv(4096):
            self.heard.put(data.decode())

    def next(self, *skipped, timeout=10):
        """The next message that does not begin with one of these."""
        end = time.monotonic() + timeout
        while True:
            text = self.heard.get(timeout=max(0, end - time.monotonic()))
            if not text.startswith(skipped):
                return text

    def until(self, pattern, timeout=10):
        """Wait for a message that matches in whole."""
        end = time.monotonic() + timeout
        while True:
            text = self.heard.get(timeout=max(0, end - time.monotonic()))
            if re.fullmatch(pattern, text):
                return text

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self.path))
        self.socket.close()


@pytest.fixture
def manager(workdir, request):
    directory = workdir / request.node.name
    directory.mkdir()
    directory.chmod(0o755)
    manager = Manager(directory)
    yield manager
    manager.close()


def environment(manager, **more):
    return ["env", "NOTIFY_SOCKET=%s" % manager.path,
            *("%s=%s" % pair for pair in more.items())]


def told(launch, fake, manager, **more):
    passd = launch(fake, fake.people, start=False)
    passd.wrap = environment(manager, **more)
    return passd


def test_life(launch, fake, manager):
    """Ready, status, reload, end: in this order, and by nobody else."""
    passd = told(launch, fake, manager).start()
    assert manager.next() == "READY=1\nMAINPID=%d" % passd.process.pid
    manager.until("STATUS=Link up, ports: 0")
    alice = passd.client("alice")
    port = alice.register()
    assert manager.next() == "STATUS=Link up, ports: 1"
    passd.hup()
    reloading = re.fullmatch("RELOADING=1\nMONOTONIC_USEC=([0-9]+)",
                             manager.next())
    assert int(reloading[1]) <= time.monotonic_ns() // 1000
    assert manager.next().startswith("READY=1\n")
    fake.up.clear()
    fake.stream.close()
    manager.until("STATUS=Link down, ports: 1")
    assert fake.up.wait(15)
    manager.until("STATUS=Link up, ports: 1")
    alice.close_port(port)
    manager.until("STATUS=Link up, ports: 0")
    passd.process.send_signal(signal.SIGTERM)
    assert manager.next("STATUS=") == "STOPPING=1"


def test_reload_of_a_bad_file_is_over_as_well(launch, fake, manager):
    """Else "systemctl reload" would wait, and then kill what works."""
    passd = told(launch, fake, manager).start()
    manager.until("READY=1\n.*")
    passd.conf.write_text("nonsense\n")
    passd.hup()
    assert manager.next("STATUS=").startswith("RELOADING=1\n")
    assert manager.next("STATUS=").startswith("READY=1\n")
    passd.wait_log(r"the old one stays in force")
    passd.conf.unlink()
    passd.hup()
    assert manager.next("STATUS=").startswith("RELOADING=1\n")
    assert manager.next("STATUS=").startswith("READY=1\n")


def test_control_dies(launch, fake, manager):
    passd = told(launch, fake, manager).start()
    manager.until("STATUS=Link up, ports: 0")
    passd.crashes_expected = True
    fake.up.clear()
    os.kill(passd.one("control"), signal.SIGKILL)
    manager.until("STATUS=Control has died, is restarted")
    assert fake.up.wait(15)
    manager.until("STATUS=Link up, ports: 0")


def test_watchdog(launch, fake, manager):
    """The parent's loop turns: a sign of life at half of the time, unless
    it is stopped.  Its children may die."""
    passd = told(launch, fake, manager, WATCHDOG_USEC=1000000).start()
    for _ in range(3):
        manager.until("WATCHDOG=1")
    passd.crashes_expected = True
    os.kill(passd.one("spawner"), signal.SIGKILL)
    for _ in range(3):
        manager.until("WATCHDOG=1")
    passd.process.send_signal(signal.SIGSTOP)
    with pytest.raises(queue.Empty):
        while True:
            manager.next(timeout=2)
    passd.process.send_signal(signal.SIGCONT)
    manager.until("WATCHDOG=1")


def test_children_do_not_know_the_socket(launch, fake, manager):
    if os.geteuid() != 0:
        pytest.skip("only root may look")
    passd = told(launch, fake, manager).start()
    alice = passd.client("alice")
    alice.register()
    for pid in daemon.descendants(passd.process.pid):
        assert b"NOTIFY" not in Path("/proc/%d/environ" % pid).read_bytes()


def test_background(launch, fake, manager):
    """Without -d the process that goes on is the one to watch."""
    passd = told(launch, fake, manager)
    passd.write()
    before = set(daemon.children(os.getpid()))
    subprocess.run(passd.wrap + passd.argv(), check=True, timeout=10,
                   stdin=subprocess.DEVNULL)
    new = [pid for pid in daemon.children(os.getpid())
           if pid not in before and daemon.title(pid) == "passd: parent"]
    assert manager.next() == "READY=1\nMAINPID=%d" % new[0]
    family = new + daemon.descendants(new[0])
    os.kill(new[0], signal.SIGTERM)
    manager.until("STOPPING=1")
    end = time.monotonic() + 10
    while any(daemon.alive(pid) for pid in family):
        assert time.monotonic() < end
        time.sleep(0.05)
    daemon.reap()


def test_nobody_listens(launch, fake):
    """A manager that has gone, or a name that is none, stops nothing."""
    for name in ("/nonexistent/notify", "relative", ""):
        passd = launch(fake, fake.people, start=False)
        passd.wrap = ["env", "NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=1000"]
        fake.up.clear()
        passd.start()
        passd.stop()


# The unit.

def setting(name):
    """All values of a setting of the unit."""
    return [word for line in UNIT.read_text().splitlines()
            if line.startswith(name + "=")
            for word in line.partition("=")[2].split()]


@pytest.mark.skipif(not shutil.which("systemd-analyze"),
                    reason="no systemd-analyze")
def test_unit_verifies(tmp_path):
    program = os.environ.get("PASSD") or shutil.which("passd")
    text = UNIT.read_text()
    assert "ExecStart=/usr/local/sbin/passd -d\n" in text
    copy = tmp_path / "passd.service"
    copy.write_text(text.replace("/usr/local/sbin/passd", program))
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)],
                         capture_output=True, text=True, timeout=20)
    about = [line for line in run.stderr.splitlines()
             if "passd.service" in line]
    assert run.returncode == 0 and not about, run.stderr
    copy.write_text(copy.read_text().replace("KillMode=mixed",
                                             "KillMode=gently"))
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)],
                         capture_output=True, text=True, timeout=20)
    assert "passd.service" in run.stderr, "it would find an error"


@pytest.mark.skipif(not shutil.which("systemd-sysusers") or
                    not shutil.which("systemd-tmpfiles"),
                    reason="no systemd")
def test_users_and_directory(tmp_path):
    """sysusers.d makes two users, tmpfiles.d a directory, in a root of the
    test's own."""
    if os.geteuid() != 0:
        pytest.skip("only root makes users")
    (tmp_path / "etc").mkdir()
    for tool, name in (("systemd-sysusers", "passd.sysusers"),
                       ("systemd-tmpfiles", "passd.tmpfiles")):
        argv = [tool, "--root=%s" % tmp_path]
        if tool == "systemd-tmpfiles":
            argv.append("--create")
        subprocess.run(argv + [str(ETC / name)], check=True, timeout=20)
    users = dict(line.split(":")[::2][:2] for line in
                 (tmp_path / "etc/passwd").read_text().splitlines())
    assert set(users) >= {"_passd", "_passdw"}
    assert len({users["_passd"], users["_passdw"], "0"}) == 3
    empty = tmp_path / "var/empty"
    assert empty.is_dir() and empty.stat().st_mode & 0o777 == 0o755
    assert not list(empty.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities")
def test_capabilities_suffice(launch, fake):
    """With no more than the unit gives: all users and cages as without,
    ports, a relay, a reload, a stop."""
    names = [name.removeprefix("CAP_").lower()
             for name in setting("CapabilityBoundingSet")]
    assert names
    cages = r"info cage (parent=.*)"
    plain = launch(fake, fake.people)
    layers = plain.wait_log(cages)[1]
    plain.stop()
    passd = launch(fake, fake.people, start=False)
    passd.wrap = ["setpriv", "--no-new-privs", "--bounding-set",
                  "-all," + ",".join("+" + name for name in names)]
    fake.up.clear()
    passd.start()
    for role in ("control", "spawner"):
        assert daemon.status(passd.one(role), "Uid")[0] != "0"
    assert passd.wait_log(cages)[1] == layers
    alice = passd.client("alice")
    port = alice.register()
    peer = tcp.connect(("127.0.0.1", port))
    request = alice.request()
    request.accept()
    leg = tcp.connect(passd.bound(request.proxy))
    tcp.joined(peer, leg)
    passd.hup()
    passd.wait_log(r"info reloaded")
    # The parent may signal those of another user.
    passd.crashes_expected = True
    worker = passd.one("worker")
    os.kill(passd.one("spawner"), signal.SIGSTOP)
    passd.process.send_signal(signal.SIGTERM)
    end = time.monotonic() + 15
    while daemon.alive(worker) or passd.process.poll() is None:
        assert time.monotonic() < end, passd.tail()
        time.sleep(0.05)
