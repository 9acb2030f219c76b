# SPDX-License-Identifier: ISC
"""ssh and rsync through passcat forward: Debian's own sshd, on loopback, with
a configuration of its own."""

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import servers
from test_passcat_forward import stop

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
PRIVSEP = Path("/run/sshd")     # sshd, started as root, insists on it

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host
PidFile none
AuthorizedKeysFile {dir}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
"""


def locked():
    """May this account not log in, even with a key?"""
    try:
        lines = Path("/etc/shadow").read_text().splitlines()
    except OSError:
        return False    # nor can an sshd of ours read it
    user = pwd.getpwuid(os.getuid())[0]
    return any(line.startswith(user + ":!") for line in lines)


@pytest.fixture
def sshd(slot, tmp_path):
    """The port of an sshd, and the ssh command that may log in there."""
    if not SSHD or not shutil.which("ssh"):
        pytest.skip("no sshd here")
    if locked():
        pytest.skip("this account is locked, sshd lets nobody in")
    path = Path(tempfile.gettempdir()) / "passd-test-sshd.lock"
    lock = open(path, "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    made = os.geteuid() == 0 and not PRIVSEP.exists()
    if made:
        PRIVSEP.mkdir(mode=0o755)
    port = slot.single()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        tmp_path / name], check=True, timeout=20)
    (tmp_path / "sshd.conf").write_text(CONFIG.format(port=port,
                                                      dir=tmp_path))
    with open(tmp_path / "sshd.log", "wb") as log:
        process = subprocess.Popen(
            servers.TETHER + [SSHD, "-D", "-e", "-f", tmp_path / "sshd.conf"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={"PATH": os.environ["PATH"]})
    try:
        servers.wait_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        if made:
            PRIVSEP.rmdir()
        path.unlink(missing_ok=True)
        lock.close()


@pytest.mark.slow
@pytest.mark.limit(60)
def test_ssh_and_rsync(cat, secure, sshd, tmp_path):
    """What README shows: sshd behind forward, ssh and rsync with passcat
    connect as their way there."""
    running, address = cat.forward(sshd, "--yes")
    user = pwd.getpwuid(os.getuid())[0]
    ssh = ["ssh", "-F", "none", "-i", str(tmp_path / "user"),
           "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
           "-o", "StrictHostKeyChecking=accept-new",
           "-o", "UserKnownHostsFile=" + str(tmp_path / "known"),
           "-o", "ProxyCommand=%s connect %%h %%p" % cat.program,
           "-p", str(address[1]), "-l", user]
    said = subprocess.run(ssh + [address[0], "cat; echo over"],
                          input=b"through\n", capture_output=True, timeout=40)
    log = (tmp_path / "sshd.log").read_text()
    assert said.stdout == b"through\nover\n", (said.stderr, log)

    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    for i in range(20):
        (source / ("file %d" % i)).write_bytes(os.urandom(30000 * i))
    # A command line for rsync; no word of it has a space but these two.
    shell = " ".join("'%s'" % word if " " in word else word for word in ssh)
    subprocess.run(["rsync", "-a", "-e", shell, str(source) + "/",
                    "%s:%s/" % (address[0], copy)], check=True, timeout=40)
    for file in source.iterdir():
        assert file.read_bytes() == (copy / file.name).read_bytes()
    stop(running)
