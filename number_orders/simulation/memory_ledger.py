"""The ledger without PostgreSQL: the real stores on tables in memory.

Only the execution of a statement is replaced. Rows, JSON, guards and the repetition after a broken connection are the
real ones.
"""

import json
from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.ledger import Ledger
from number_orders.simulation.statements import claims, limits, outbox, reading
from number_orders.simulation.statements.orders import STATEMENTS
from number_orders.simulation.tables import Row, Tables

__all__ = ["STATEMENTS", "MemoryDatabase", "memory_ledger"]

_LOADED = (claims, limits, outbox, reading)  # importing them has added their statements


class MemoryDatabase(Database):
    """A connection to tables in memory; several may share one set of tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def _reconnect(self) -> None:
        """Do nothing: there is no connection."""

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        return self._carry_out(statement, params)

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement: one moment, one transaction."""
        return STATEMENTS[statement](self._tables, {name: _stored(value) for name, value in params.items()})


def memory_ledger(tables: Tables) -> Ledger:
    """Return a ledger on tables in memory."""
    return Ledger(MemoryDatabase(tables))


def _stored(value: Any) -> Any:
    """Pass JSON through its text, as a database does: nobody shares a value with the code that wrote it."""
    return json.loads(json.dumps(value.obj)) if isinstance(value, Jsonb) else value
