"""The ledger without PostgreSQL: the real one's own code, on tables in memory.

Only the place where a statement meets PostgreSQL is replaced, so rows, JSON, guards and the repetition after a broken
connection are the real ones.
"""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from psycopg.types.json import Jsonb

from number_orders.ledger.ledger import Ledger
from number_orders.simulation.statements import claims, limits, outbox, reading
from number_orders.simulation.statements.orders import STATEMENTS
from number_orders.simulation.tables import Row, Tables

__all__ = ["STATEMENTS", "MemoryLedger"]

_LOADED = (
    claims,
    limits,
    reading,
    outbox,
)  # importing them has added their statements


class MemoryLedger(Ledger):
    """A connection to tables in memory; several may share one set of tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._counted = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    async def _reconnect(self) -> None:
        """Nothing was connected."""

    async def _run_once(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        return self._carried_out(statement, params)

    def _carried_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement: one moment, one transaction."""
        return STATEMENTS[statement](self._tables, {name: _stored(value) for name, value in params.items()})


def _stored(value: Any) -> Any:
    """Take JSON through its text, as a database does: nobody shares a value with whoever wrote it."""
    return json.loads(json.dumps(value.obj)) if isinstance(value, Jsonb) else value
