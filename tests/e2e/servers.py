# SPDX-License-Identifier: ISC
"""Private Prosody and ejabberd, on loopback, in directories of their own."""

import os
import shutil
import signal
import socket
import subprocess
import time

# In front of a command: it ends when the tests are killed.
TETHER = ["setpriv", "--pdeathsig", "TERM"]
DOMAIN = "example.test"
# The long-lived passd of the tests is pass; those started by one test pass2.
COMPONENTS = ("pass." + DOMAIN, "pass2." + DOMAIN)
SECRET = "not much of a secret & <more>"
USERS = ("alice", "bob", "carol", "dave", "mallory")
PASSWORD = "pw"

PROSODY_CONF = """
run_as_root = true
daemonize = false
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
certificates = "{dir}"
log = {{ {{ levels = {{ min = "debug" }}, to = "file",
    filename = "{dir}/server.log" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
component_interfaces = {{ "127.0.0.1" }}
component_ports = {{ {component} }}
authentication = "internal_plain"
{tls}
VirtualHost "{domain}"
"""

PROSODY_PLAIN = """
modules_enabled = {{ "roster", "saslauth", "disco", "ping" }}
modules_disabled = {{ "s2s", "s2s_auth_certs", "offline", "tls" }}
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
"""

# With stream management (XEP-0198), as today's servers have it.
PROSODY_TLS = """
modules_enabled = {{ "roster", "saslauth", "disco", "ping", "tls", "smacks" }}
modules_disabled = {{ "s2s", "s2s_auth_certs", "offline" }}
c2s_require_encryption = true
ssl = {{ certificate = "{tls}/server.pem", key = "{tls}/server.key" }}
"""

EJABBERD_CONF = """
loglevel: debug
hosts: ["{domain}"]
auth_method: internal
auth_password_format: plain
s2s_access: none
listen:
  - port: {c2s}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 2000000
{tls}  - port: {component}
    ip: "127.0.0.1"
    module: ejabberd_service
    access: all
    global_routes: false
    hosts:
{hosts}
modules:
  mod_disco: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
{more}"""

EJABBERD_TLS = """\
    starttls_required: true
    certfile: "{tls}/both.pem"
"""


def wait_port(port, process, timeout=20):
    """Wait until somebody listens on a port of loopback."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError("server exited with %d" % process.returncode)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nobody listens on port %d" % port)


def certificates(directory):
    """Make a CA (ca.pem) and, signed by it, a certificate for DOMAIN and one
    for another name (wrong.pem); the servers may read them."""
    directory.mkdir(parents=True)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True,
                       capture_output=True, timeout=30)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=passd test CA", "-keyout", "ca.key", "-out", "ca.pem")
    for name, domain in (("server", DOMAIN), ("wrong", "other.test")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-subj", "/CN=" + domain, "-addext",
                "subjectAltName=DNS:" + domain, "-keyout", name + ".key",
                "-out", name + ".csr")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-copy_extensions", "copy", "-out", name + ".pem")
    (directory / "both.pem").write_text(
        (directory / "server.pem").read_text() +
        (directory / "server.key").read_text())
    for path in directory.iterdir():
        path.chmod(0o644)
    return directory


class Server:
    """What both have in common."""

    def __init__(self, directory, ports, tls=None):
        self.tls = tls              # a directory of certificates()
        self.dir = directory
        self.c2s = ports.single()
        self.component = ports.single()
        self.process = None
        self.dir.mkdir(parents=True)
        self.write()

    def spawn(self, argv, env=None):
        with open(self.dir / "output", "ab") as output:
            self.process = subprocess.Popen(
                TETHER + argv, cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True)
        wait_port(self.component, self.process)
        wait_port(self.c2s, self.process)

    def stop(self, sig=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(sig)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def restart(self, pause=0):
        self.stop()
        time.sleep(pause)
        self.start()


class Prosody(Server):
    name = "prosody"

    def write(self):
        tls = PROSODY_TLS if self.tls else PROSODY_PLAIN
        text = PROSODY_CONF.format(dir=self.dir, c2s=self.c2s, domain=DOMAIN,
                                   component=self.component,
                                   tls=tls.format(tls=self.tls))
        for component in COMPONENTS:
            text += 'Component "%s"\n\tcomponent_secret = "%s"\n' % (
                component, SECRET)
        (self.dir / "prosody.cfg.lua").write_text(text)
        accounts = (self.dir / "data" /
                    DOMAIN.replace(".", "%2e") / "accounts")
        accounts.mkdir(parents=True)
        for user in USERS:
            (accounts / (user + ".dat")).write_text(
                'return { ["password"] = "%s" };\n' % PASSWORD)

    def start(self):
        self.spawn([shutil.which("prosody") or "/usr/bin/prosody", "-F",
                    "--config", str(self.dir / "prosody.cfg.lua")])


class Ejabberd(Server):
    """Run as a node without a name, which needs neither epmd nor cookie."""

    name = "ejabberd"

    def write(self):
        hosts = "".join('      "%s": {password: "%s"}\n' % (c, SECRET)
                        for c in COMPONENTS)
        (self.dir / "ejabberd.yml").write_text(EJABBERD_CONF.format(
            c2s=self.c2s, component=self.component, domain=DOMAIN,
            hosts=hosts,
            tls=EJABBERD_TLS.format(tls=self.tls) if self.tls else "",
            more="  mod_stream_mgmt: {}\n" if self.tls else ""))

    def start(self):
        ready = self.dir / "ready"
        ready.unlink(missing_ok=True)
        names = ",".join('<<"%s">>' % user for user in USERS)
        register = ('[ejabberd_auth:try_register(U, <<"%s">>, <<"%s">>)'
                    ' || U <- [%s]], file:write_file("%s", "").'
                    % (DOMAIN, PASSWORD, names, ready))
        env = dict(os.environ, HOME=str(self.dir),
                   EJABBERD_CONFIG_PATH=str(self.dir / "ejabberd.yml"),
                   EJABBERD_LOG_PATH=str(self.dir / "server.log"),
                   ERL_CRASH_DUMP=str(self.dir / "crash.dump"),
                   ERL_INETRC="/dev/null", ERL_LIBS=library_directory())
        self.spawn(["erl", "+P", "50000", "+S", "2:2", "+Bd", "-noinput",
                    "-mnesia", "dir", '"%s"' % (self.dir / "mnesia"),
                    "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd",
                    "-eval", register], env)
        end = time.monotonic() + 20
        while not ready.exists():
            assert time.monotonic() < end, "ejabberd made no accounts"
            time.sleep(0.02)


def library_directory():
    """Where Debian keeps ejabberd's Erlang libraries."""
    machine = os.uname().machine
    return "/usr/lib/%s-linux-gnu" % {"i686": "i386"}.get(machine, machine)


SERVERS = {"prosody": Prosody, "ejabberd": Ejabberd}
