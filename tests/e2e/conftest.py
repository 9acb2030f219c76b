# SPDX-License-Identifier: ISC
"""Fixtures of the end-to-end tests.

    server   a private XMPP server, Prosody and ejabberd in turn
    service  the passd that most tests share, one for each server
    start    starts a passd of the test's own on that server
    alice, bob, carol, mallory    users of the shared passd

The programs under test are named by PASSD and PASSD_WORKER in the
environment, the libstrophe client by STROPHE_PEER, the worker that somebody
has taken by HOSTILE_WORKER.
"""

import faulthandler
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import pytest

import daemon
import fakeserver
import passcat
import ports
import servers
import users

LIMIT = 30              # seconds a test may take unless marked otherwise
SETUP_LIMIT = 60        # seconds for its fixtures


def limited(seconds, what):
    """Run a hook under SIGALRM."""
    def expired(signum, frame):
        faulthandler.dump_traceback(all_threads=True)
        raise TimeoutError("%s took longer than %d s" % (what, seconds))
    old = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from limited(SETUP_LIMIT, "setup")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    mark = item.get_closest_marker("limit")
    yield from limited(mark.args[0] if mark else LIMIT, item.name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from limited(SETUP_LIMIT, "teardown")


def pytest_configure(config):
    daemon.adopt_orphans()


def pytest_collection_modifyitems(items):
    """With pytest-xdist (-n 3 --dist loadgroup) each server, the fake one
    among them, has a process of its own."""
    for item in items:
        server = getattr(item, "callspec", None)
        params = server.params if server else {}
        group = params.get("server", params.get("secure", "fake"))
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def workdir():
    """A directory that every user may enter; kept when KEEP is set."""
    path = Path(tempfile.mkdtemp(prefix="passd-e2e-"))
    path.chmod(0o755)
    yield path
    if "KEEP" in os.environ:
        print("kept", path)
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def slot():
    slot = ports.Ports()
    yield slot
    slot.close()


@pytest.fixture(scope="session")
def loop():
    loop = users.Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session", params=sorted(servers.SERVERS, reverse=True))
def server(request, workdir, slot):
    """A real XMPP server; no test stops it."""
    server = servers.SERVERS[request.param](workdir / request.param, slot)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def sessions(loop, server):
    """Return a function that gives the User (name, resource)."""
    known = {}

    def session(name, resource="home"):
        user = known.get((name, resource))
        if user is None:
            user = known[name, resource] = users.User(
                loop, server, servers.DOMAIN, name, servers.PASSWORD,
                resource)
        elif user.ended.is_set():
            user.again()
        return user
    session.known = known
    return session


@pytest.fixture(scope="session")
def people(server, loop):
    """session(name, resource): sessions on the server, made once."""
    session = sessions(loop, server)
    yield session
    for user in session.known.values():
        user.close()


@pytest.fixture(scope="session")
def shared(server, people, slot, workdir):
    """The shared passd; tests use it as service."""
    shared = daemon.Passd(workdir / ("shared-" + server.name),
                          servers.COMPONENTS[0], server, people)
    shared.window(slot.shared())
    shared.start()
    yield shared
    shared.stop()


@pytest.fixture
def service(shared):
    """The shared passd, revived if a test killed it."""
    if not shared.alive():
        shared.process = None
        shared.start()
    yield shared
    shared.release()
    assert shared.alive(), shared.tail()


@pytest.fixture
def alice(service):
    return service.client("alice")


@pytest.fixture
def bob(service):
    return service.client("bob")


@pytest.fixture
def carol(service):
    return service.client("carol")


@pytest.fixture
def mallory(service):
    return service.client("mallory")


@pytest.fixture
def launch(slot, workdir):
    """launch(server, people, count=N, up=True, **config): a passd with N
    ports, a third of them for rendezvous, that lives as long as the test."""
    started = []

    def launch(server, people=None, /, count=30, up=True, start=True,
               **config):
        directory = Path(tempfile.mkdtemp(prefix="own-", dir=workdir))
        directory.chmod(0o755)
        new = daemon.Passd(directory, servers.COMPONENTS[1], server, people)
        new.window(slot.window(count))
        for name, value in config.items():
            assert hasattr(new.config, name), name
            old = getattr(new.config, name)
            setattr(new.config, name,
                    {**old, **value} if isinstance(old, dict) else value)
        started.append(new)
        if start:
            new.start(up)
        return new

    yield launch
    failures = []
    for one in reversed(started):
        try:
            one.stop()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def start(launch, server, people):
    """start(**config): a passd of the test's own on the real server."""
    def start(**config):
        return launch(server, people, **config)
    return start


@pytest.fixture
def restartable(server, workdir, slot, loop):
    """(server, people): a real server that the test may stop."""
    directory = Path(tempfile.mkdtemp(prefix="server-", dir=workdir))
    own = type(server)(directory / server.name, slot)
    session = sessions(loop, own)
    try:
        own.start()
        yield own, session
    finally:
        for user in session.known.values():
            user.close()
        own.stop()


@pytest.fixture
def fake(slot):
    """A server of ours that speaks XEP-0114 as the test likes it."""
    fake = fakeserver.FakeServer(slot.single())
    yield fake
    fake.close()


@pytest.fixture(scope="session", params=sorted(servers.SERVERS, reverse=True))
def secure(request, workdir, slot):
    """A server with TLS and a passd, shared by the tests of passcat."""
    if not passcat.program():
        pytest.skip("passcat was not built")
    both = passcat.secure(request.param, workdir / ("tls-" + request.param),
                          slot)
    try:
        yield both
    finally:
        both.passd.stop()
        both.server.stop()


@pytest.fixture
def cat(secure, tmp_path):
    """passcat for one test; what it has started ends with it."""
    cat = passcat.Passcat(secure.server, secure.passd, tmp_path)
    yield cat
    cat.close()
