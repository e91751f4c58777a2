"""Load the named statements of `sql/`: one file beside each store.

`now()` is the ledger's time everywhere: the start of the transaction, on PostgreSQL's clock.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final, LiteralString, cast

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def _statements() -> Iterator[tuple[str, LiteralString]]:
    """Yield every statement with its name."""
    for file in files("number_orders.ledger").joinpath("sql").iterdir():
        _, *parts = _NAME.split(file.read_text(encoding="utf-8"))
        # Our own file, shipped with the code, is as literal as a string in it.
        yield from zip(parts[::2], cast("list[LiteralString]", parts[1::2]), strict=True)


def _by_name() -> Mapping[str, LiteralString]:
    """Return the statements by name; each name occurs once."""
    statements: dict[str, LiteralString] = {}
    for name, statement in _statements():
        assert name not in statements, f"two statements are named {name}"
        statements[name] = statement
    return MappingProxyType(statements)


SQL: Final = _by_name()
