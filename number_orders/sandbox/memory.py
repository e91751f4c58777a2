"""The memory file: the requests that the carriers acted on, in order, so that a restarted sandbox can replay them.

Each is one line of JSON, written before the client gets its answer. That is enough: the course of an order follows from
its request, its moment, the behaviour in force and the stock that earlier orders left. So the same lines, replayed,
make the same orders with the same numbers that end at the same moments. Knows nothing of what the lines mean.
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
        """Append one request that was acted on. The line survives if the sandbox is killed."""
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"carrier": carrier, **line}) + "\n")

    def read(self, carrier: str) -> Iterator[Line]:
        """Return a carrier's lines, oldest first."""
        if self._path is None or not self._path.exists():
            return
        lines = map(json.loads, self._path.read_text(encoding="utf-8").splitlines())
        yield from (line for line in lines if line["carrier"] == carrier)

    def clear(self) -> None:
        """Delete the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _drop_partial_line(path: Path) -> None:
        """Remove a last line that was cut off when the sandbox was killed; its request was never answered."""
        kept = path.read_bytes().rpartition(b"\n")
        with path.open("r+b") as file:
            file.truncate(len(kept[0]) + len(kept[1]))
