"""Places for lanes, shared by the pool children of one worker.

A slow carrier may fill its lane, not the pool; and all lanes together leave some children free, so that orders coming
in never wait for orders being worked on. A place is a lock on a small file, so the kernel gives it back however its
holder dies. One child does a lane's work in larger groups, and so at less cost, than two: as long as it says that it
keeps up, it is alone. Whoever hangs says nothing.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from number_orders.orders.model import CarrierName, Lane

_SUFFICES_S: Final = 3.0
"""How long it counts that one is enough."""


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
            for name, places in ((_name(carrier, lane), self._open(carrier, lane)), ("any", self._together)):
                place = self._lock(name, places)
                if place is None:
                    held.close()
                    yield False
                    return
                held.enter_context(place)
            yield True

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Let nobody else have a place beside this process's own for the next seconds."""
        self._word(carrier, lane).touch()

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Let others have the other places."""
        self._word(carrier, lane).unlink(missing_ok=True)

    def _open(self, carrier: CarrierName, lane: Lane) -> int:
        try:
            said_s = time.time() - self._word(carrier, lane).stat().st_mtime
        except FileNotFoundError:
            return self._each
        return 1 if 0 <= said_s < _SUFFICES_S else self._each  # a clock that was set says nothing

    def _word(self, carrier: CarrierName, lane: Lane) -> Path:
        return self._folder / f"{_name(carrier, lane)}-suffices"

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


def _name(carrier: CarrierName, lane: Lane) -> str:
    return f"{carrier}-{lane.value}"
