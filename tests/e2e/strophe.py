# SPDX-License-Identifier: ISC
"""strophe_peer, the PASS client on libstrophe, driven by lines."""

import os
import queue
import shlex
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "strophe_peer.c"


def program(directory):
    """The path of strophe_peer: STROPHE_PEER, or compiled here and now."""
    path = os.environ.get("STROPHE_PEER")
    if path and os.access(path, os.X_OK):
        return path
    config = [shutil.which("pkg-config") or "false", "--cflags", "--libs",
              "libstrophe", "libbsd-overlay"]
    flags = subprocess.run(config, capture_output=True, text=True)
    if flags.returncode != 0:
        pytest.skip("libstrophe is missing")
    path = str(directory / "strophe_peer")
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2",
                    "-D_GNU_SOURCE", str(SOURCE), "-o", path]
                   + shlex.split(flags.stdout), check=True)
    return path


class StrophePeer:
    """One running client."""

    def __init__(self, path, server, jid, password, service):
        self.process = subprocess.Popen(
            [path, jid, password, "127.0.0.1", str(server.c2s), service],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.expect("online")

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.split())

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def expect(self, word, timeout=10):
        """The rest of the next line, which must begin with that word."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError("%s did not come" % word) from None
        assert line[0] == word, line
        return line[1:]

    def silent(self, seconds=0.3):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError("unexpected: %s" % line)

    def register(self, *words):
        self.say("register", *words)
        port, address = self.expect("registered")
        return int(port), address

    def close(self):
        """End it; its exit status says whether all went well."""
        self.process.stdin.close()
        try:
            status = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.process.stdout.close()
        assert status == 0, "strophe_peer: %d" % status
