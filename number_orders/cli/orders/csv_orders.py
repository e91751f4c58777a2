"""Reads orders from CSV: a header row with the contract's fields, then one order a row.

Fields of an object have its name before them, such as `criteria.npa`, `options.site_id` and `notify.task`. An empty
cell leaves its field out. Numbers are separated by blanks or semicolons. Does not know whether an order is valid: a
cell that does not fit its field is left as it is written, and its order is refused by line and field like any other.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from number_orders.cli.csv_cells import as_written
from number_orders_client.contract import Criteria, Notify, OrderRequest

_OBJECTS: Final[Mapping[str, type[BaseModel]]] = {"criteria": Criteria, "notify": Notify}
_OPTIONS: Final = "options."
_DELIMITERS: Final = (",", ";", "\t")
_COUNTS: Final = frozenset({"quantity", "range_size"})
_SWITCHES: Final = frozenset(
    {"allow_partial", "allow_backorder", "criteria.vanity_at_end", "criteria.local_calling_area"}
)
_LISTS: Final = frozenset({"numbers", "notify.on"})
_WORDS: Final = {"true": True, "yes": True, "false": False, "no": False}
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_SEPARATORS: Final = re.compile(r"[\s;]+")
_KEY: Final = "key"


class NotCsv(Exception):
    """The table cannot be read; the message says where."""


def looks_like_csv(text: str) -> bool:
    """Tell whether a text begins with a header row: it has a column `key`, and is no JSON."""
    first = text.lstrip().split("\n", 1)[0]
    return not first.startswith(("{", "[")) and _KEY in _split(first, _delimiter(first))


def read_csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each order with the line on which it begins.

    Raises:
        NotCsv: A column is unknown or there twice, a row has more cells than columns, or a quote does not end.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=_delimiter(text.lstrip().split("\n", 1)[0]), strict=True
    )
    columns: Sequence[str] = ()
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                if columns:
                    yield line, _order(columns, row, line)
                else:
                    columns = _columns(row, line)
            line = reader.line_num + 1
    except csv.Error as wrong:
        raise NotCsv(f"line {line}: {wrong}") from None


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=lambda one: len(_split(header, one)))


def _split(header: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in header.split(delimiter)]


def _columns(row: Sequence[str], line: int) -> list[str]:
    columns = [cell.strip() for cell in row]
    for number, column in enumerate(columns, start=1):
        if not _is_known(column):
            raise NotCsv(f"line {line}, column {number}: {column!r} is no field of an order, such as {_examples()}")
        if columns.index(column) != number - 1:
            raise NotCsv(f"line {line}, column {number}: {column!r} is there twice")
    return columns


def _is_known(column: str) -> bool:
    whole, _, part = column.partition(".")
    if f"{whole}." == _OPTIONS:
        return bool(part)
    if whole in _OBJECTS:
        return part in _OBJECTS[whole].model_fields
    return column in OrderRequest.model_fields


def _examples() -> str:
    return "key, carrier, kind, quantity, numbers, criteria.npa or options.site_id"


def _order(columns: Sequence[str], row: Sequence[str], line: int) -> dict[str, Any]:
    if len(row) > len(columns):
        extra = row[len(columns)]
        raise NotCsv(
            f"line {line}, column {len(columns) + 1}: {extra!r:.40} has no column; quote cells that have a comma"
        )
    order: dict[str, Any] = {}
    for column, cell in zip(columns, row, strict=False):
        written = as_written(cell.strip())
        if not written:
            continue
        whole, _, part = column.partition(".")
        held: Any = order.setdefault(whole, {}) if part else order
        held[part or whole] = _value(column, written)
    return order


def _value(column: str, cell: str) -> object:
    if column in _COUNTS:
        return int(cell) if _COUNT.fullmatch(cell) else cell
    if column in _SWITCHES:
        return _WORDS.get(cell.lower(), cell)
    if column in _LISTS:
        return [one for one in _SEPARATORS.split(cell) if one]
    return _option(cell) if column.startswith(_OPTIONS) else cell


def _option(cell: str) -> object:
    """Return an option: `true` and `false`, a list if it has semicolons, or a text."""
    switches: Mapping[str, bool] = {"true": True, "false": False}
    if ";" in cell:
        return [one.strip() for one in cell.split(";") if one.strip()]
    return switches.get(cell.lower(), cell)
