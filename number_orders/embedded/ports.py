"""Ports on loopback for servers of our own."""

import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
PORTS: Final = range(20000, 32768)  # below the ports that systems use for outgoing connections


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
