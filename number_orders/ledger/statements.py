"""Loads the named statements of `queries.sql`."""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final, LiteralString, cast

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def _load() -> Mapping[str, LiteralString]:
    text = files("number_orders.ledger").joinpath("queries.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    # Our own file, shipped with the code, is as literal as a string in it.
    return MappingProxyType(dict(zip(parts[::2], cast("list[LiteralString]", parts[1::2]), strict=True)))


SQL: Final = _load()
