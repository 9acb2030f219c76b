# SPDX-License-Identifier: ISC
"""A name server of the tests' own, on a loopback address and port 53, and a
mount namespace in which it is the only one.  Both want root."""

import ipaddress
import random
import shutil
import socket
import struct
import subprocess
import threading

A, AAAA = 1, 28
NO_ERROR, NO_SUCH_NAME = 0, 3
TRUNCATED = 0x0200


def usable():
    """May we have a mount namespace of our own?"""
    return shutil.which("unshare") and subprocess.run(
        ["unshare", "--mount", "true"], capture_output=True).returncode == 0


class NameServer:
    """Answers by its table {name: addresses}.  A name that begins with
    "tcp" does not fit into a datagram; one that begins with "slow" waits
    until go is set."""

    def __init__(self, table, directory):
        self.table = table
        self.directory = directory
        self.go = threading.Event()
        self.asked = threading.Event()
        self.by_tcp = 0
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:             # an address that nobody else uses
            self.address = "127.%d.%d.53" % (random.randrange(64, 250),
                                             random.randrange(1, 250))
            try:
                self.udp.bind((self.address, 53))
                self.tcp = socket.create_server((self.address, 53))
                break
            except PermissionError:
                raise
            except OSError:
                self.udp.close()
                self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for loop in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=loop, daemon=True).start()

    def answer(self, query, fits):
        end = 12
        labels = []
        while query[end]:
            labels.append(query[end + 1:end + 1 + query[end]].decode())
            end += query[end] + 1
        question = query[12:end + 5]
        kind = struct.unpack(">H", query[end + 1:end + 3])[0]
        name = ".".join(labels)
        self.asked.set()
        if name.startswith("slow"):
            self.go.wait(30)
        flags, records = 0x8180, b""
        if name not in self.table:
            flags |= NO_SUCH_NAME
        elif name.startswith("tcp") and fits:
            flags |= TRUNCATED
        else:
            for text in self.table[name]:
                raw = ipaddress.ip_address(text).packed
                if kind == {4: A, 16: AAAA}[len(raw)]:
                    records += struct.pack(">HHHIH", 0xc00c, kind, 1, 60,
                                           len(raw)) + raw
        count = records.count(b"\xc0\x0c")
        return query[:2] + struct.pack(">HHHHH", flags, 1, count, 0,
                                       0) + question + records

    def serve_udp(self):
        while True:
            try:
                query, client = self.udp.recvfrom(4096)
                if not query:
                    return              # close() has woken us
                self.udp.sendto(self.answer(query, True), client)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            self.by_tcp += 1
            with connection, connection.makefile("rb") as stream:
                while len(head := stream.read(2)) == 2:
                    query = stream.read(struct.unpack(">H", head)[0])
                    reply = self.answer(query, False)
                    connection.sendall(struct.pack(">H", len(reply)) + reply)

    def wrap(self):
        """The command in front of a program that is to ask only us."""
        resolv = self.directory / "resolv.conf"
        resolv.write_text("nameserver %s\n" % self.address)
        nsswitch = self.directory / "nsswitch.conf"
        nsswitch.write_text("hosts: files dns\n")
        resolv.chmod(0o644)
        nsswitch.chmod(0o644)
        return ["unshare", "--mount", "sh", "-c",
                "mount --bind '%s' /etc/resolv.conf && "
                "mount --bind '%s' /etc/nsswitch.conf && exec \"$@\""
                % (resolv, nsswitch), "sh"]

    def close(self):
        self.go.set()
        for sock in (self.udp, self.tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass            # it was not connected; it wakes all the same
            sock.close()
