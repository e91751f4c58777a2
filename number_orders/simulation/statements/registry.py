"""The statements by name. Each function is one transaction: it changes all that it is to change, or raises first."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from number_orders.simulation.tables import Row, Tables

Params = Mapping[str, Any]
Statement = Callable[[Tables, Params], list[Row]]

STATEMENTS: Final[dict[str, Statement]] = {}
"""Every statement by its name in `ledger/sql`. Importing a module of this package adds its statements."""


def statement(run: Statement) -> Statement:
    """Register a statement under the name of its function."""
    STATEMENTS[run.__name__] = run
    return run


def moment_from_json(text: str | None) -> datetime | None:
    """Read a moment from JSON."""
    return datetime.fromisoformat(text) if text else None


def moment_in_document(at: datetime) -> str:
    """Write a moment as PostgreSQL writes it into a document."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
