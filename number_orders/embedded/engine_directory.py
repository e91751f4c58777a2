"""The directory of one engine: its lock, password, port, log and data.

DIRECTORY/          mode 0700, owned by us
  lock              who runs the engine (see lock.py)
  password          mode 0600, made once
  port              the port used last
  server.log
  data/             the server's; it may belong to another system user
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from number_orders.embedded.errors import CouldNotStart
from number_orders.embedded.files import write_private
from number_orders.embedded.ports import PORTS, is_free

LOG_LINES_SHOWN: Final = 12


class EngineDirectory:
    """The files of one engine."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self.path = path.absolute()
        self.data = self.path / "data"
        self.lock = self.path / "lock"
        self.log = self.path / "server.log"
        self._password = self.path / "password"
        self._port = self.path / "port"

    def make(self) -> None:
        """Create the directory, closed to other users.

        Raises:
            CouldNotStart: we cannot create or use it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = self.path.stat().st_uid
        except OSError as fault:
            raise self._unusable(fault.strerror or str(fault)) from fault
        if owner != os.geteuid():  # also for root: the owner could not read what root writes there
            raise self._unusable(f"it belongs to user {owner}")
        self.path.chmod(0o700)

    def _unusable(self, why: str) -> CouldNotStart:
        return CouldNotStart(
            self._name,
            f"its directory {self.path} cannot be used ({why}). Run as the user who owns it, or choose "
            "another directory.",
        )

    def password(self) -> str:
        """Return the password, which is made on first use.

        Raises:
            CouldNotStart: there is data, but its password is missing.
        """
        if self._password.exists():
            return self._password.read_text(encoding="ascii").strip()
        if self.data.exists():
            raise CouldNotStart(
                self._name,
                f"{self._password} is missing, and the data needs it. Put it back, or remove "
                f"{self.path} to start without data.",
            )
        password = secrets.token_urlsafe(24)
        write_private(self._password, password + "\n")
        return password

    def ports(self) -> Iterator[int]:
        """Yield free ports: first the one used last, so that URLs stay the same if they can."""
        if self._port.exists() and is_free(last := int(self._port.read_text(encoding="ascii"))):
            yield last
        for _ in range(10):
            if is_free(port := secrets.choice(PORTS)):
                yield port

    def remember_port(self, port: int) -> None:
        """Use this port first next time."""
        write_private(self._port, f"{port}\n")

    def log_size(self) -> int:
        """Return the size of the log, so that the lines of one run can be told from earlier ones."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_since(self, size: int) -> str:
        """Return the last lines that were written after the log had this size."""
        with self.log.open("rb") as log:
            log.seek(size)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])
