"""The trace of a world: what happened, line by line, and a digest of it.

Two runs of a world are the same if their digests are.
"""

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

_KEPT: Final = 400


class Trace:
    """Adds every line to a digest, and keeps the last lines for the analysis of a failure."""

    def __init__(self, listener: Callable[[str], None] | None = None) -> None:
        self._digest = hashlib.sha256()
        self._listener = listener
        self._last: deque[str] = deque(maxlen=_KEPT)
        self.lines = 0
        self.counts: Counter[str] = Counter()

    def note(self, who: str, what: str, detail: str = "") -> None:
        """Add a line. `what` is one of few words, which are counted."""
        at_s = round(asyncio.get_running_loop().time(), 8)  # sums of floats may differ after that
        line = f"{at_s:14.6f} {who:<10} {what} {detail}".rstrip()
        self._digest.update(line.encode() + b"\n")
        self._last.append(line)
        self.lines += 1
        self.counts[what] += 1
        if self._listener:
            self._listener(line)

    @property
    def digest(self) -> str:
        """The digest, sixteen hexadecimal digits."""
        return self._digest.hexdigest()[:16]

    def last(self, about: str = "") -> list[str]:
        """Return the last lines, or those of them that contain `about`."""
        return [line for line in self._last if about in line]
