"""Listens for HTTP, and says at which address: the processes of two stacks may want the same port."""

import errno
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from number_orders.embedded.files import write_private

_PORTS_TRIED: Final = 100
_BACKLOG: Final = 1024
_PORT_MAX: Final = 65_535


def listen(host: str, port: int, *, address_file: Path | None = None) -> socket.socket:
    """Listen on a port, or on any free one if it is 0; return the socket, which does not block.

    With `address_file`, a port that is taken is replaced by the next free one, and the address is written there. A
    process that is started again finds its former address there and keeps it, if it can.

    Raises:
        OSError: The port is taken, or this machine has no such address.
    """
    if address_file is None:
        return _listen(host, port)
    listening = _listen_near(host, _former_port(address_file) or port)
    write_private(address_file, f"http://{_in_url(host)}:{listening.getsockname()[1]}\n")
    return listening


def address_in(address_file: Path) -> str | None:
    """Return the address that a process has written; None before it listens."""
    return address_file.read_text(encoding="ascii").strip() if address_file.exists() else None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listening.setblocking(False)  # Tornado accepts until there is nothing left, and would wait for ever
    return listening


def _listen_near(host: str, port: int) -> socket.socket:
    """Listen on the first free port from `port` on, or on any if all of these are taken."""
    for chance in range(port, min(port + _PORTS_TRIED, _PORT_MAX + 1)):
        try:
            return _listen(host, chance)
        except OSError as fault:
            if fault.errno != errno.EADDRINUSE:
                raise
    return _listen(host, 0)


def _former_port(address_file: Path) -> int | None:
    former = address_in(address_file)
    return urlsplit(former).port if former else None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
