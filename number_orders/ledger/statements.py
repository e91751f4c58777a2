"""Load the named statements of `sql/`: one file beside each store.

Text that two statements of a file share is a part (`-- part: NAME`), which each includes (`-- include: NAME`).

`now()` is the ledger's time everywhere: the start of the transaction, on PostgreSQL's clock.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final, LiteralString

_HEAD: Final = re.compile(r"^-- (name|part): (\w+)\n", re.MULTILINE)
_INCLUDE: Final = re.compile(r"^-- include: (\w+)\n", re.MULTILINE)


def _statements() -> Iterator[tuple[str, LiteralString]]:
    """Yield every statement with its name."""
    for file in files("number_orders.ledger").joinpath("sql").iterdir():
        _, *pieces = _HEAD.split(file.read_text(encoding="utf-8"))
        texts = list(zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True))
        parts = {name: f"{text.rstrip()}\n" for head, name, text in texts if head == "part"}
        for name, text in [(name, text) for head, name, text in texts if head == "name"]:
            yield name, _with_parts(text, parts)


def _with_parts(text: str, parts: Mapping[str, str]) -> LiteralString:
    """Return a statement with the parts that it includes. Our own file is as literal as a string in the code."""
    return _INCLUDE.sub(lambda included: parts[included[1]], text)


def _by_name() -> Mapping[str, LiteralString]:
    """Return the statements by name; each name occurs once."""
    statements: dict[str, LiteralString] = {}
    for name, statement in _statements():
        assert name not in statements, f"two statements are named {name}"
        statements[name] = statement
    return MappingProxyType(statements)


SQL: Final = _by_name()
