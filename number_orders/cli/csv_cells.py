"""Writes tables as CSV for programs and spreadsheets.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` as a formula, and anybody who names an order may have
written one. Such a text gets an apostrophe before it, which spreadsheets take as "this is text"; `submit` takes it off
again. A telephone number stays as it is: a plus sign and digits can do no harm, and programs read it.
"""

import csv
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_HARMLESS: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MARK: Final = "'"


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a header row and the rows; of each the named columns."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([safe_cell(row.get(column)) for column in columns] for row in rows)


def safe_cell(value: object) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula; on one line, and nothing for None."""
    if value is None:
        return ""
    text = str(value.isoformat() if hasattr(value, "isoformat") else value)
    text = "".join(" " if ord(letter) < ord(" ") else letter for letter in text)
    text = text.encode(errors="replace").decode()
    return f"{_MARK}{text}" if text.startswith(_FORMULA) and not _HARMLESS.fullmatch(text) else text


def as_written(cell: str) -> str:
    """Return the text of a cell, without the mark that `safe_cell` or a person has put before it."""
    return cell[1:] if cell.startswith(_MARK) and cell[1:].startswith(_FORMULA) else cell
