# SPDX-License-Identifier: ISC
"""passcat: account and login, listen and connect, list and close, and who
may connect."""

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import signal
import socket
import ssl
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

import servers
import tcp

DONE, USAGE, REFUSED, LOGIN, SERVICE, TIMEOUT, PEER = range(7)


def talk(address, data=b"", source=None):
    """Connect, say something, half-close, and hear all of the answer."""
    with contextlib.closing(tcp.connect(address, source, 20)) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
        return answer


# Account and login.

def test_usage(cat):
    for arguments in ([], ["no-such-command"], ["connect", "host"],
                      ["forward", "eighty"], ["listen", "--allow", "10.0.0"],
                      ["list", "--proxy-protocol"], ["close", "70000"],
                      ["forward", "80", "--expire", "soon"],
                      ["listen", "--ask", "--yes"]):
        ended = cat.run(*arguments, account=False)
        assert ended.code == USAGE, arguments
        assert ended.text().startswith("passcat: "), ended.text()
    ended = cat.run("-h", account=False)
    assert ended.code == DONE and b"forward" in ended.output


def test_wrong_password(cat):
    ended = cat.run("list", env={"PASSCAT_PASSWORD": "wrong"})
    assert ended.code == LOGIN
    assert "does not accept the password" in ended.text()


def test_no_such_server(cat, slot):
    ended = cat.run("list", "--host", "127.0.0.1:%d" % slot.single())
    assert ended.code == LOGIN
    assert "--host" in ended.text()


def test_certificate_is_checked(cat, secure):
    """Signed by an unknown CA: no login."""
    ended = cat.run("list", "--ca-file", str(secure.server.tls / "wrong.pem"))
    assert ended.code == LOGIN
    assert "certificate" in ended.text()


HEADER = (b"<?xml version='1.0'?><stream:stream from='example.test' id='1' "
          b"version='1.0' xmlns='jabber:client' "
          b"xmlns:stream='http://etherx.jabber.org/streams'>"
          b"<stream:features>%s</stream:features>")
NS_TLS = b"urn:ietf:params:xml:ns:xmpp-tls"


def test_name_in_certificate(cat, secure):
    """A certificate of a CA that we trust, but for another name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secure.server.tls / "wrong.pem",
                            secure.server.tls / "wrong.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        new = cat.start("--host", "127.0.0.1:%d" % listener.getsockname()[1],
                        "list", json=False)
        listener.settimeout(20)
        server, _ = listener.accept()
        with server:
            server.settimeout(20)
            server.recv(4096)
            server.sendall(HEADER % (b"<starttls xmlns='%s'/>" % NS_TLS))
            while b"<starttls" not in server.recv(4096):
                pass
            server.sendall(b"<proceed xmlns='%s'/>" % NS_TLS)
            with contextlib.suppress(OSError):
                # A TLS 1.3 server learns of it by the next read.
                with context.wrap_socket(server, server_side=True) as tls:
                    assert tls.recv(4096) == b""
    assert new.wait() == LOGIN
    assert "certificate" in new.text() and "example.test" in new.text()


def test_no_tls_no_password(cat):
    """A server, or somebody in between, that offers no TLS gets nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        new = cat.start("--host", "127.0.0.1:%d" % listener.getsockname()[1],
                        "list", json=False)
        listener.settimeout(20)
        server, _ = listener.accept()
        with server:
            server.settimeout(20)
            heard = server.recv(4096)
            server.sendall(HEADER % (
                b"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                b"<mechanism>PLAIN</mechanism></mechanisms>"))
            with contextlib.suppress(OSError):
                while chunk := server.recv(4096):
                    heard += chunk
    assert new.wait() == LOGIN
    assert b"<auth" not in heard
    assert "TLS" in new.text()


def test_configuration(cat, secure):
    """Everything from a file, the password by a command."""
    directory = cat.home / ".config" / "passcat"
    directory.mkdir(parents=True)
    config = directory / "config"
    config.write_text('# mine\naccount "alice@%s"\nhost %s\nca file "%s"\n'
                      'password command "echo %s; echo more"\n'
                      'service pass.%s\n'
                      % (servers.DOMAIN, cat.host,
                         secure.server.tls / "ca.pem", servers.PASSWORD,
                         servers.DOMAIN))
    ended = cat.run("list", account=False, env={"PASSCAT_PASSWORD": None})
    assert ended.code == DONE, ended.text()
    config.write_text('acount "x"\npassword "secret"\n')
    ended = cat.run("list", account=False)
    assert ended.code == USAGE
    assert "config:1: " in ended.text() and "config:2: " in ended.text()


def test_password_file(cat):
    file = cat.dir / "password"
    file.write_text(servers.PASSWORD + "\n")
    file.chmod(0o644)
    ended = cat.run("--password-file", str(file), "list")
    assert ended.code == LOGIN and "chmod 600" in ended.text()
    file.chmod(0o600)
    ended = cat.run("--password-file", str(file), "list",
                    env={"PASSCAT_PASSWORD": None})
    assert ended.code == DONE, ended.text()


def test_no_terminal_no_password(cat):
    ended = cat.run("list", env={"PASSCAT_PASSWORD": None})
    assert ended.code == LOGIN
    assert "PASSCAT_PASSWORD" in ended.text()


# Listen and connect.

def test_tar_both_ways(cat):
    """Two streams through listen and connect, each to its very end."""
    there = os.urandom(3000001)
    back = os.urandom(2000003)
    sent, received = cat.dir / "sent", cat.dir / "received"
    sent.write_bytes(there)
    with sent.open("rb") as stdin, received.open("wb") as stdout:
        listener, address = cat.listen("--yes", stdin=stdin, stdout=stdout)
        connect = subprocess.run(
            cat.argv("connect", address[0], str(address[1]), account=False),
            input=back, capture_output=True, timeout=20)
        assert listener.wait() == DONE
    assert connect.returncode == DONE, connect.stderr
    assert connect.stdout == there
    assert received.read_bytes() == back
    ended = listener.event("ended")
    assert (ended["in"], ended["out"]) == (len(back), len(there))


def test_listen_in_a_pipe(cat):
    """tar | passcat listen, and passcat connect | tar, with what a shell
    makes of it: the end of each is seen by the next."""
    (cat.dir / "tree").mkdir()
    for i in range(50):
        (cat.dir / "tree" / str(i)).write_bytes(os.urandom(1000 * i))
    tar = subprocess.Popen(["tar", "cf", "-", "-C", cat.dir / "tree", "."],
                           stdout=subprocess.PIPE)
    listener, address = cat.listen("--yes", stdin=tar.stdout)
    tar.stdout.close()
    (cat.dir / "copy").mkdir()
    argv = cat.argv("connect", address[0], str(address[1]), account=False)
    untar = subprocess.Popen(["tar", "xf", "-", "-C", cat.dir / "copy"],
                             stdin=subprocess.PIPE)
    connect = subprocess.run(argv, stdin=subprocess.DEVNULL,
                             stdout=untar.stdin, timeout=20)
    untar.stdin.close()
    assert untar.wait(20) == 0 and tar.wait(20) == 0
    assert connect.returncode == DONE and listener.wait() == DONE
    for i in range(50):
        assert ((cat.dir / "tree" / str(i)).read_bytes() ==
                (cat.dir / "copy" / str(i)).read_bytes())


def test_reader_of_our_output_sees_its_end(cat):
    """The peer half-closes; whoever reads listen's output sees that while
    the other direction goes on."""
    read, write = os.pipe()
    feed, stdin = os.pipe()
    listener, address = cat.listen("--yes", stdin=feed, stdout=write)
    os.close(write)
    os.close(feed)
    with contextlib.closing(tcp.connect(address)) as peer:
        peer.sendall(b"one")
        peer.shutdown(socket.SHUT_WR)
        with open(read, "rb") as output:
            assert output.read() == b"one"
        os.write(stdin, b"two")
        assert peer.recv(10) == b"two"
        os.close(stdin)
        assert tcp.ending(peer) == "fin"
    assert listener.wait() == DONE


def test_peer_reset(cat):
    feed, stdin = os.pipe()
    listener, address = cat.listen("--yes", stdin=feed)
    os.close(feed)
    peer = tcp.connect(address)
    peer.sendall(b"x")
    listener.event("closed", why="oneshot")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    peer.close()
    assert listener.wait() == PEER
    os.close(stdin)
    assert "lost" in listener.output.decode() + listener.text()


def test_leg_token(cat, secure):
    """The owner's leg is always told by a token: a stranger who is faster on
    the rendezvous port gets nothing."""
    since = secure.passd.mark()
    listener, address = cat.listen("--yes", "-v")
    assert talk(address, b"hello") == b""
    assert listener.wait() == DONE
    text = listener.text()
    # The element is there, what it holds is not shown.
    assert re.search(r'<leg xmlns="urn:x-passd:1">\.\.\.</leg>', text)
    assert not re.search(r">[0-9a-f]{32}<", text)
    assert not re.search(r"<(auth|response)[^>]*>[A-Za-z0-9+/=]{4}", text)
    assert secure.passd.logged(r" paired port=%d " % address[1], since) == 1


def test_signal_closes_the_port(cat):
    for number in (signal.SIGINT, signal.SIGTERM):
        listener, address = cat.listen("--yes")
        listener.signal(number)
        assert listener.wait() == -number
        assert tcp.wait_refused(address)


def test_timeout(cat):
    listener, address = cat.listen("--yes", "--timeout", "1")
    assert listener.wait() == TIMEOUT
    assert tcp.wait_refused(address)


def test_expire(cat):
    listener, address = cat.listen("--yes", "--expire", "1s")
    listener.event("closed", why="expired")
    assert listener.wait() == TIMEOUT


def test_connect_to_nobody(cat, slot):
    ended = cat.run("connect", "127.0.0.1", str(slot.single()),
                    account=False)
    assert ended.code == PEER
    assert "refused" in ended.text()


# Who may connect.

def test_nobody_without_a_rule(cat):
    """No terminal and no rule: everybody is refused, and that is said."""
    listener, address = cat.listen()
    assert tcp.turned_away(address)
    assert listener.event("refused")["why"] == "nobody to ask"
    assert "--allow" in listener.output.decode() + listener.text()


def test_allow(cat):
    listener, address = cat.listen("--allow", "127.0.0.8/31",
                                   "--allow", "2001:db8::/32")
    for source in ("127.0.0.7", "127.0.0.10"):
        assert tcp.turned_away(address, source)
        listener.event("refused", peer=source)
    assert talk(address, b"let me in", source="127.0.0.9") == b""
    assert listener.wait() == DONE
    assert listener.output == b"let me in"


class Terminal:
    """passcat with a terminal of its own, as a person has it."""

    def __init__(self, cat, *arguments, **options):
        self.fd, slave = pty.openpty()

        def own():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.running = cat.start(*arguments, preexec_fn=own,
                                 pass_fds=(slave,), **options)
        os.close(slave)
        self.text = ""

    def expect(self, pattern, timeout=20):
        end = time.monotonic() + timeout
        os.set_blocking(self.fd, False)
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, self.text
            try:
                self.text += os.read(self.fd, 4096).decode()
            except (BlockingIOError, OSError):
                time.sleep(0.05)

    def type(self, text):
        self.text = ""
        os.write(self.fd, text.encode())

    def close(self):
        os.close(self.fd)


@pytest.fixture
def terminal(cat):
    made = []

    def terminal(*arguments, **options):
        made.append(Terminal(cat, *arguments, **options))
        return made[-1]
    yield terminal
    for one in made:
        one.running.kill()
        one.close()


def test_ask(cat, terminal):
    tty = terminal("listen")
    listening = tty.running.event("listening")
    address = listening["host"], listening["port"]
    peer = tcp.connect(address, "127.0.0.7")
    tty.expect(r"127\.0\.0\.7 port \d+ wants to connect to port %d.*\[y/N\]"
               % address[1])
    tty.type("n\n")
    assert tcp.ending(peer) == "rst"
    peer.close()
    with contextlib.closing(tcp.connect(address, "127.0.0.8")) as peer:
        tty.expect(r"127\.0\.0\.8 port \d+ wants")
        tty.type("y\n")
        peer.sendall(b"thanks")
        peer.shutdown(socket.SHUT_WR)
        assert tcp.ending(peer) == "fin"
    assert tty.running.wait() == DONE
    assert tty.running.output == b"thanks"


def test_password_prompt(cat, terminal):
    tty = terminal("list", env={"PASSCAT_PASSWORD": None})
    tty.expect("Password of alice@%s: " % servers.DOMAIN)
    tty.type(servers.PASSWORD + "\n")
    assert tty.running.wait() == DONE
    assert servers.PASSWORD not in tty.text


# Own ports, services.

def test_list_and_close(cat, secure):
    _, first = cat.listen("--yes", user="bob")
    _, second = cat.listen("--yes", user="bob")
    ended = cat.run("list", user="bob")
    assert ended.code == DONE
    assert sorted(ended.output.decode().splitlines()) == sorted(
        "%s %d" % address for address in (first, second))
    assert cat.run("list", user="carol").output == b""

    ended = cat.run("close", str(first[1]), user="carol")
    assert ended.code == SERVICE and "passcat list" in ended.text()
    assert cat.run("close", str(first[1]), user="bob").code == DONE
    assert tcp.wait_refused(first)
    assert not tcp.refused(second)
    assert cat.run("close", "all", user="bob").code == DONE
    assert tcp.wait_refused(second)
    assert cat.run("list", user="bob").output == b""


def test_services(cat, secure):
    ended = cat.run("services")
    assert ended.code == DONE
    assert secure.passd.jid in ended.output.decode()
    running = cat.start("services")
    assert running.event("service")["jid"] == secure.passd.jid
    assert running.wait() == DONE


def test_not_allowed(cat):
    """The service's error in words, with what to do."""
    ended = cat.run("listen", "--yes", user="mallory")
    assert ended.code == SERVICE
    assert "ask its operator" in ended.text(), ended.text()


def test_no_such_service(cat):
    ended = cat.run("-s", "nobody." + servers.DOMAIN, "list")
    assert ended.code == SERVICE
    assert "passcat services" in ended.text(), ended.text()


def test_nothing_is_left(cat, secure):
    """No presence and no port: a name that logs in for a list is not seen."""
    since = secure.passd.mark()
    assert cat.run("-v", "list").code == DONE
    assert secure.passd.logged(" registered ", since) == 0


def test_cage(cat, secure):
    """What holds passcat while a peer can reach it."""
    listener, address = cat.listen("--yes")
    status = open("/proc/%d/status" % listener.process.pid).read()
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    assert talk(address) == b""
    assert listener.wait() == DONE


# What comes with it.

TOP = Path(__file__).resolve().parents[2]


def completed(*words):
    """What bash offers after these words."""
    script = ('. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _passcat; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    said = subprocess.run(["bash", "-c", script, TOP / "etc/bash/passcat",
                           "passcat", *words], capture_output=True, text=True,
                          check=True, timeout=20)
    return said.stdout.split()


def test_completion(cat):
    """It knows the commands that the help names, and the options that the
    manual page has."""
    usage = cat.run("-h", account=False).output.decode()
    commands = re.findall(r"passcat \[options\] (\w+)", usage)
    assert sorted(completed("")) == sorted(commands)
    page = (TOP / "man/passcat.1").read_text()
    options = {"--" + name for name in re.findall(
        r"^\.It .*?Fl -([a-z-]+)", page, re.M)}
    offered = set()
    for command in commands:
        offered |= set(completed(command, "--"))
    assert offered == options
    assert "--proxy-protocol" not in completed("list", "--")
