"""What many ask for is read once for all of them, and what is dear is read seldom."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

Value = TypeVar("Value")

_RESTS: Final = 50
"""One viewer or a hundred keep at most a fiftieth of a connection busy with one figure, up to its `most_s`."""


class Recent(Generic[Value]):
    """Reads something at most once in a while. Those who ask meanwhile get the same.

    What is dear to read is read seldom: again after `_RESTS` times as long as reading it took, at least `least_s` and
    at most `most_s` seconds after it was read.
    """

    def __init__(self, least_s: float, most_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._clock = clock
        self._latest: tuple[Value, float] | None = None
        """What was read last, and until when it lasts."""
        self._reading: asyncio.Task[Value] | None = None

    async def get(self, read: Callable[[], Awaitable[Value]]) -> Value:
        """Return what was read lately, or read it. All who ask meanwhile wait for one reading, and share its error."""
        if self._latest is not None and self._clock() < self._latest[1]:
            return self._latest[0]
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(read))
            self._reading.add_done_callback(_note_error)
        return await asyncio.shield(self._reading)  # one who goes away does not end it for the others

    async def _read(self, read: Callable[[], Awaitable[Value]]) -> Value:
        began_at = self._clock()
        value = await read()
        ended_at = self._clock()
        rests_s = (ended_at - began_at) * _RESTS
        self._latest = value, ended_at + min(max(rests_s, self._least_s), self._most_s)
        return value


def _note_error(reading: "asyncio.Task[Any]") -> None:
    """Take note of the error of a reading whose viewers have all gone away; asyncio would log it at exit."""
    if not reading.cancelled():
        reading.exception()
