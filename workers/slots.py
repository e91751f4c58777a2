"""Lane slots: how many pool children of one worker may work one lane, and how many may work lanes at all.

The limits keep a slow carrier from filling the pool, and keep some children free for incoming orders. A child that
works several lanes at once counts once. A slot is a lock on a small file, so the kernel frees it however its holder
dies.

One child works a lane in larger batches, and so at less cost, than two. While the holder keeps saying that it keeps up
(`keep_alone`), no second child gets a slot. A child that hangs stops saying it, and the other slots open again.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from number_orders.orders.model import CarrierName, Lane

_ALONE_S: Final = 3.0
"""How long one `keep_alone` holds."""


class FileSlots:
    """Up to `each` holders per lane and `together` processes over all lanes, among those that share `folder`."""

    def __init__(self, folder: Path, *, each: int, together: int) -> None:
        self._folder = folder
        self._each = each
        self._together = together
        self._lanes_held = 0
        """How many lanes this process works."""
        self._process_slot: IO[bytes] | None = None

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        """Enter with True if a slot was free; free it again on leaving."""
        with ExitStack() as held:
            lane_slot = self._lock_one(_name(carrier, lane), self._lane_slots(carrier, lane))
            if lane_slot is not None:
                held.enter_context(lane_slot)
            if lane_slot is None or not self._count_in():
                held.close()
                yield False
                return
            held.callback(self._count_out)
            yield True

    def _count_in(self) -> bool:
        """Add a lane to those that this process works; return False if too many other processes work lanes."""
        if not self._lanes_held:
            self._process_slot = self._lock_one("any", self._together)
        self._lanes_held += self._process_slot is not None
        return self._process_slot is not None

    def _count_out(self) -> None:
        self._lanes_held -= 1
        if not self._lanes_held and self._process_slot is not None:
            self._process_slot.close()
            self._process_slot = None

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Let no other child take a slot of this lane for the next three seconds: the holder keeps up alone."""
        self._alone_mark(carrier, lane).touch()

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Let another child take a slot of this lane at once."""
        self._alone_mark(carrier, lane).unlink(missing_ok=True)

    def _lane_slots(self, carrier: CarrierName, lane: Lane) -> int:
        try:
            marked_s_ago = time.time() - self._alone_mark(carrier, lane).stat().st_mtime
        except FileNotFoundError:
            return self._each
        return 1 if 0 <= marked_s_ago < _ALONE_S else self._each  # a mark from the future: the clock was set back

    def _alone_mark(self, carrier: CarrierName, lane: Lane) -> Path:
        return self._folder / f"{_name(carrier, lane)}-alone"

    def _lock_one(self, name: str, slots: int) -> IO[bytes] | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for slot in range(slots):
            file = (self._folder / f"{name}-{slot}").open("ab")  # append: never truncate what already lies there
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                return file
        return None


def _name(carrier: CarrierName, lane: Lane) -> str:
    return f"{carrier}-{lane.value}"


class NoSlots:
    """The slots of a process that works no lane."""

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        """Enter with False: no slot was taken."""
        yield False

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Do nothing: this process holds no slot."""

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Do nothing: this process holds no slot."""
