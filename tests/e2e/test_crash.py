# SPDX-License-Identifier: ISC
"""Workers that crash, and what follows for spawner, owner and the others."""

import ctypes
import os
import platform
import re
import signal
import time

import pytest

import daemon
import tcp

# Signal by signal it is the same; a sanitizer does not catch this one.
CRASH = signal.SIGSYS
SYS_WRITE, SYS_SOCKET = 1, 41
needs_ptrace = pytest.mark.skipif(
    os.geteuid() != 0 or platform.machine() != "x86_64",
    reason="needs root, and the registers of x86_64")


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


def worker(passd, port):
    """Look again: it may change its parent while we look."""
    end = time.monotonic() + 10
    while not (found := [pid for pid in passd.kin("worker") if
                         daemon.title(pid) == "passd: worker %d" % port]):
        assert time.monotonic() < end, port
        time.sleep(0.02)
    return found[0]


def crash(passd, client, port):
    """Kill the worker of a port as if it had crashed."""
    mark = passd.mark()
    os.kill(worker(passd, port), CRASH)
    passd.wait_log(r"worker died port=%d .*signal=" % port, 10, mark)
    client.notice(["close", "proxy"], port)


def replaced(passd, mark, old):
    """Wait until a new spawner works; return its process id."""
    passd.wait_log(r"spawner pid=%d retired" % old, 15, mark)
    passd.wait_log(r" cage spawner=", 15, mark)
    new = passd.one("spawner", 10)
    assert new != old
    return new


def patiently(client):
    """Register, waiting as long as the service says."""
    for _ in range(5):
        reply = client.query()
        if reply.ok:
            return reply.entities("server")[0][1]
        assert reply.error.own is not None, reply
        time.sleep(int(reply.error.own.get("retry-after")))
    raise AssertionError("still refused")


class Regs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax"
        " rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()]


def ptrace(request, pid, data=None):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, pid, None, data) == -1:
        raise OSError(ctypes.get_errno(), "ptrace %d" % request)


def force(pid, number, *args):
    """Have a process that waits in poll(2) make another system call."""
    regs = Regs()
    ptrace(16, pid)                             # ATTACH
    os.waitpid(pid, 0)
    ptrace(12, pid, ctypes.byref(regs))         # GETREGS
    regs.rip -= 2                               # the syscall instruction
    regs.rax, regs.orig_rax = number, 2 ** 64 - 1
    regs.rdi, regs.rsi, regs.rdx = [regs.rsp if a is None else a
                                    for a in args]
    ptrace(13, pid, ctypes.byref(regs))         # SETREGS
    ptrace(17, pid)                             # DETACH


def test_spawner_replaced(start):
    """A new spawner; whoever was there stays, new ones need not wait for
    more than that, and what is left goes when passd does."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    port, other, third = alice.register(), bob.register(), bob.register()
    peer, leg = relay(bob, other)
    old, mark = passd.one("spawner"), passd.mark()
    os.kill(worker(passd, port), CRASH)
    for _ in range(4):
        assert bob.query().ok
    alice.notice(["close", "proxy"], port)
    new = replaced(passd, mark, old)
    tcp.joined(peer, leg)
    # Orphans are the parent's children now; they work and can be closed.
    assert daemon.stat(worker(passd, other))[1] == str(passd.process.pid)
    mark = passd.mark()
    pid = worker(passd, third)
    assert bob.close_port(third).ok
    end = time.monotonic() + 10
    while daemon.alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert passd.logged("worker died", mark) == 0
    fresh = patiently(alice)
    assert daemon.stat(worker(passd, fresh))[1] == str(new)
    relay(alice, fresh)
    tcp.joined(peer, leg)


def test_owner_slowed(start):
    """The owner waits, longer each time, and he alone."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    crash(passd, alice, alice.register())
    crash(passd, alice, patiently(alice))
    for _ in range(3):
        reply = alice.query()
        assert reply.error.same(500, "wait", "policy-violation"), reply
        assert reply.error.own.tag.endswith("}rate-limited")
        assert reply.error.own.get("retry-after") in ("1", "2")
    assert bob.query().ok
    assert patiently(alice) in alice.ports()
    assert [int(s) for s in re.findall(
        r"crash port=\d+ jid=\S+ next registration in=(\d+)s",
        passd.text())] == [1, 2]
    assert passd.logged(r"refused jid=") == 0


def test_crashes_without_end(start):
    """Neither spawners nor lines in the log come faster than the back-off
    lets them, and the others are served."""
    passd = start()
    passd.crashes_expected = True
    people = [passd.client(name) for name in ("alice", "bob", "carol")]
    delays = []
    for _ in range(2):
        old, mark = passd.one("spawner", 10), passd.mark()
        for client in people:
            crash(passd, client, patiently(client))
        replaced(passd, mark, old)
        delays += re.findall(r"spawner pid=%d replaced in=(\d+)ms" % old,
                             passd.text())
    assert delays == ["250", "500"]
    assert len(passd.kin("spawner")) == 1


def test_orphan_killed(start):
    """The parent reaps it, and says how it ended."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    port, other = alice.register(), bob.register()
    old, mark = passd.one("spawner"), passd.mark()
    crash(passd, bob, other)
    replaced(passd, mark, old)
    mark = passd.mark()
    os.kill(worker(passd, port), signal.SIGKILL)
    passd.wait_log(r"worker died port=%d .*signal=9 " % port, 10, mark)
    alice.notice(["close", "proxy"], port)
    assert tcp.wait_refused(at(port))
    assert alice.query().ok, "it was no crash"


@needs_ptrace
def test_orphan_that_misbehaves(start):
    """It is the parent that kills it: by itself it would stay with its
    relay."""
    passd = start()
    passd.crashes_expected = True
    alice, bob = passd.client("alice"), passd.client("bob")
    port, third, other = alice.register(), alice.register(), bob.register()
    peer, leg = relay(alice, third)
    old, mark = passd.one("spawner"), passd.mark()
    crash(passd, bob, other)
    replaced(passd, mark, old)
    mark = passd.mark()
    force(worker(passd, third), SYS_WRITE, 3, None, 8)
    alice.notice(["close", "proxy"], third)
    passd.wait_log(r"worker port=%d .*violation: no header" % third, 10,
                   mark)
    passd.wait_log(r"worker died port=%d .*signal=9 " % third, 10, mark)
    assert tcp.ending(peer) and tcp.ending(leg)
    relay(alice, port)


@needs_ptrace
def test_killed_by_the_filter(start):
    """A system call that is not in the list, made by a real worker."""
    passd = start()
    passd.crashes_expected = True
    alice = passd.client("alice")
    port, other = alice.register(), alice.register()
    peer, leg = relay(alice, other)
    if daemon.status(worker(passd, port), "Seccomp") != ["2"]:
        pytest.skip("no filter here")
    pid = worker(passd, port)
    force(pid, SYS_SOCKET, 2, 1, 0)
    match = passd.wait_log(
        r"worker died port=%d pid=%d jid=%s signal=31 \(Bad system call\): "
        r"killed by the filter of system calls, please report it, with "
        r"passd -V" % (port, pid, re.escape(alice.jid)), 10)
    assert passd.logged(re.escape(match[0])) == 1
    alice.notice(["close", "proxy"], port)
    assert tcp.wait_refused(at(port))
    tcp.joined(peer, leg)
    assert passd.alive()
