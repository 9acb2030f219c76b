# SPDX-License-Identifier: ISC
"""Make the loopback interface of this network namespace like a wire: packets
of the given size, cut by TCP and not by the interface, and none put together
again.  Only for a namespace of our own.
"""

import array
import fcntl
import socket
import struct

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
SIOCGIFMTU, SIOCSIFMTU = 0x8921, 0x8922
SIOCETHTOOL = 0x8946
SET_TSO, SET_GSO, SET_GRO = 0x1f, 0x24, 0x2c
IFF_UP = 1


def request(sock, number, value=0):
    """An ioctl of lo with one integer; return the integer."""
    data = fcntl.ioctl(sock, number, struct.pack("16si20x", b"lo", value))
    return struct.unpack("16si", data[:20])[1]


def mtu():
    with socket.socket() as sock:
        return request(sock, SIOCGIFMTU)


def make(size):
    with socket.socket() as sock:
        request(sock, SIOCSIFMTU, size)
        request(sock, SIOCSIFFLAGS, request(sock, SIOCGIFFLAGS) | IFF_UP)
        for command in (SET_TSO, SET_GSO, SET_GRO):
            value = array.array("B", struct.pack("II", command, 0))
            fcntl.ioctl(sock, SIOCETHTOOL, struct.pack(
                "16sP", b"lo", value.buffer_info()[0]))
