"""Reads orders from a file: one JSON object, a JSON array, JSON Lines, or CSV, recognised by the content.

All or nothing: one unreadable character, and no order is read. Does not know whether an order is valid.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from number_orders.cli.orders.csv_orders import NotCsv, looks_like_csv, read_csv

_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One order as it was written, and where."""

    order: object
    place: str
    """`line 3` or `index 7`, for a person."""
    number: int
    """The line in JSON Lines and CSV, the index (from 0) in an array."""


class Unreadable(Exception):
    """The text is neither JSON nor CSV; the message says where."""


def read_orders(raw: bytes) -> list[FileEntry]:
    """Return the orders in `raw`, in order.

    Raises:
        Unreadable: With line and column, if there are any.
    """
    text = _decode(raw)
    if not text.strip():
        raise Unreadable("there is no order in it")
    if looks_like_csv(text):
        return _rows(text)
    return _lines(text) if _is_json_lines(text) else _document(text)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = raw.count(b"\n", 0, wrong.start) + 1
        column = wrong.start - raw.rfind(b"\n", 0, wrong.start)
        raise Unreadable(f"line {line}, byte {column}: it is not UTF-8") from None


def _is_json_lines(text: str) -> bool:
    """Tell whether the first line with text is JSON by itself, and another follows."""
    written = [line for line in text.split("\n") if line.strip()]
    if len(written) == 1:
        return False
    try:
        json.loads(written[0])
    except (ValueError, RecursionError):
        return False
    return True


def _rows(text: str) -> list[FileEntry]:
    try:
        entries = [FileEntry(order, f"line {line}", line) for line, order in read_csv(text)]
    except NotCsv as wrong:
        raise Unreadable(str(wrong)) from None
    if not entries:
        raise Unreadable("there is a header row and no order")
    return entries


def _lines(text: str) -> list[FileEntry]:
    return [
        FileEntry(_parse(line, first_line=number), f"line {number}", number)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def _document(text: str) -> list[FileEntry]:
    parsed = _parse(text, first_line=1)
    if not isinstance(parsed, list):
        return [FileEntry(parsed, "the order", 0)]
    if not parsed:
        raise Unreadable("the array holds no order")
    return [FileEntry(order, f"index {index}", index) for index, order in enumerate(parsed)]


def _parse(text: str, *, first_line: int) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as wrong:
        line = first_line + wrong.lineno - 1
        raise Unreadable(f"line {line}, column {wrong.colno}: {wrong.msg}{_near(wrong)}") from None
    except (ValueError, RecursionError) as wrong:
        where = f"line {first_line}: " if "\n" not in text.strip() else ""
        why = "it is nested too deeply" if isinstance(wrong, RecursionError) else str(wrong)
        raise Unreadable(f"{where}{why}") from None


def _near(wrong: json.JSONDecodeError) -> str:
    rest = wrong.doc[wrong.pos :].split("\n", 1)[0].strip()
    shown = rest if len(rest) <= _SHOWN else f"{rest[:_SHOWN]}…"
    return f", at {shown!r}" if shown else ""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; refuse a field that occurs twice, of which JSON would silently keep the last."""
    for name in _doubled(pairs):
        raise ValueError(f"the field {name!r} occurs twice in one object")
    return dict(pairs)


def _doubled(pairs: Sequence[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            yield name
        seen.add(name)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
