"""Places for lanes, shared by the pool children of one worker.

A slow carrier may fill its lane, not the pool; and all lanes together leave some children free, so that orders coming
in never wait for orders being worked on. A place is a lock on a small file, so the kernel gives it back however its
holder dies.
"""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from orders.model import CarrierName, Lane


class FileSlots:
    """Up to `each` holders per lane, and up to `together` in all, among the processes that share `folder`."""

    def __init__(self, folder: Path, *, each: int, together: int) -> None:
        self._folder = folder
        self._each = each
        self._together = together

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        """Enter with True when a place was free; it is given back on leaving."""
        with ExitStack() as held:
            for name, places in ((f"{carrier}-{lane.value}", self._each), ("any", self._together)):
                place = self._lock(name, places)
                if place is None:
                    held.close()
                    yield False
                    return
                held.enter_context(place)
            yield True

    def _lock(self, name: str, places: int) -> IO[bytes] | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in range(places):
            file = (self._folder / f"{name}-{place}").open("ab")  # whatever lies there is not ours to empty
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                return file
        return None
