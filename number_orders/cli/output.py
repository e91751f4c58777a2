"""Prints for commands: coloured on a terminal, plain and complete in a pipe, JSON for machines.

Removes control characters from every text of a carrier or a producer, so that none can steer a terminal, and
passwords from every address.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from rich.console import Console
from rich.table import Table
from rich.text import Text

from number_orders.orders.model import NumberState, State
from number_orders.story.text import clean as clean  # noqa: PLC0414  modules that print take it from here

_PIPE_WIDTH: Final = 100_000
"""In a pipe, no line is cut or wrapped."""
_READABLE: Final = 100
"""The width of paragraphs on a wide terminal."""
_ADDRESSES: Final = re.compile(r";(?=\w+://)")
_SECRET_NAME: Final = re.compile(r"pass|secret|token|key", re.IGNORECASE)

STYLES: Final[Mapping[str, str]] = {
    State.ACCEPTED: "cyan",
    State.SUBMITTING: "cyan",
    State.OPEN: "blue",
    State.IN_DOUBT: "bold yellow",
    State.PARKED: "bold magenta",
    State.COMPLETED: "bold green",
    State.PARTIAL: "bold yellow",
    State.COMPLETED_WITH_ERRORS: "bold yellow",
    State.FAILED: "bold red",
    State.CANCELLED: "dim",
    NumberState.REQUESTED: "dim",
    NumberState.ACQUIRED: "green",
    NumberState.USABLE: "green",
    NumberState.FAILED: "red",
    NumberState.RELEASED: "dim",
    NumberState.WITHDRAWN: "red",
}


def screen() -> Console:
    """Return the console for standard output."""
    return _console(stderr=False)


def aside() -> Console:
    """Return the console for standard error."""
    return _console(stderr=True)


def write_json(value: Any) -> None:
    """Print `value` as one JSON document, in ASCII so that it is safe on any terminal."""
    sys.stdout.write(json.dumps(value, indent=2, default=_to_json) + "\n")


def state(word: str) -> Text:
    """Return a state in its colour."""
    return Text(word, STYLES.get(word, ""))


def table(*columns: str) -> Table:
    """Return a borderless table whose columns wrap."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def rows(console: Console, columns: Sequence[str], lines: Iterable[Sequence[Text | str]], *, whole: int = 0) -> None:
    """Print a table; its first `whole` columns are never wrapped.

    In a pipe no width is measured, so ten thousand rows are fast.
    """
    if console.width != _PIPE_WIDTH:
        made = table(*columns)
        for column in made.columns[:whole]:
            column.no_wrap = True
        for line in lines:
            made.add_row(*line)
        console.print(made)
        return
    cells = [list(columns), *([str(cell) for cell in line] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console.file.write(f"{'  '.join(padded).rstrip()}\n")


def pairs(entries: Iterable[tuple[str, Text | str]]) -> Table:
    """Return a table of names and values; entries without a value are left out."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in entries:
        if value:
            made.add_row(name, value)
    return made


def heading(console: Console, text: str, more: str = "") -> None:
    """Print the head of a section."""
    console.print()
    console.print(Text.assemble((text, "bold"), (f"  {more}" if more else "", "dim")))


def paragraph(console: Console, sentences: Sequence[str]) -> None:
    """Print sentences as one paragraph on a terminal, one a line in a pipe."""
    if console.width == _PIPE_WIDTH:
        for sentence in sentences:
            console.print(sentence, soft_wrap=True)
        return
    console.print(" ".join(sentences), width=min(console.width, _READABLE))


def masked(url: str) -> str:
    """Return an address, or several separated by `;`, with its secrets replaced by `***`."""
    if len(addresses := _ADDRESSES.split(url)) > 1:
        return ";".join(masked(one) for one in addresses)
    try:
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
    except ValueError:
        return "(an address that cannot be read)"
    if not parts.scheme or not parts.netloc:
        return "(an address that is no URL)"  # such as a libpq string, where the password can be anywhere
    name, colon, _ = user.partition(":")
    query = "&".join(_masked_pair(pair) for pair in parts.query.split("&"))
    return urlunsplit((parts.scheme, f"{name}{colon and ':***'}{at}{host}", parts.path, query, ""))


def scrubbed(text: str, url: str) -> str:
    """Return a text about an address on one line, with the address's passwords removed."""
    shown = clean(text.replace(url, masked(url)))
    for one in _ADDRESSES.split(url):
        if password := _password(one):
            shown = shown.replace(password, "***")
    return shown


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}=***" if equals and _SECRET_NAME.search(name) else pair


def _console(*, stderr: bool) -> Console:
    to_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if to_terminal or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def _to_json(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case bytes():
            return value.decode(errors="replace")
        case frozenset() | set():
            return sorted(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form here")
