"""What a sandbox remembers when it is started again: the requests that its carriers acted on, in their order.

One line of JSON for each, written before the client hears of it. That is enough: the course of an order follows from
its request, its moment, the behaviour in force and the stock left by those before it, so the same lines played again
make the same orders, with the same numbers, ending at the same moments. Knows nothing of what the lines mean.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]


class Memory:
    """A file of lines; without a file, nothing is remembered."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        if path is not None and path.exists():
            self._drop_partial_line(path)

    def append(self, carrier: str, line: Line) -> None:
        """Remember one request that was acted on. What the system has, the sandbox's own death does not lose."""
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"carrier": carrier, **line}) + "\n")

    def read(self, carrier: str) -> Iterator[Line]:
        """Return what was kept for a carrier, oldest first."""
        if self._path is None or not self._path.exists():
            return
        lines = map(json.loads, self._path.read_text(encoding="utf-8").splitlines())
        yield from (line for line in lines if line["carrier"] == carrier)

    def clear(self) -> None:
        """Begin anew."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _drop_partial_line(path: Path) -> None:
        """Drop a last line that was being written when the sandbox was killed: nobody was answered for it."""
        kept = path.read_bytes().rpartition(b"\n")
        with path.open("r+b") as file:
            file.truncate(len(kept[0]) + len(kept[1]))
