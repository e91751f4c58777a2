"""Places per lane, shared by the pool children of one worker: a slow carrier may fill its lane, not the pool.

A place is a lock on a small file, so the kernel gives it back however its holder dies.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from orders.model import CarrierName, Lane


class FileSlots:
    """Up to `each` holders per lane among the processes that share `folder`."""

    def __init__(self, folder: Path, *, each: int) -> None:
        self._folder = folder
        self._each = each

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        """Enter with True when a place was free; it is given back on leaving."""
        held = self._lock(carrier, lane)
        try:
            yield held is not None
        finally:
            if held is not None:
                held.close()

    def _lock(self, carrier: CarrierName, lane: Lane) -> IO[bytes] | None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for place in range(self._each):
            file = (self._folder / f"{carrier}-{lane.value}-{place}").open("wb")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                return file
        return None
