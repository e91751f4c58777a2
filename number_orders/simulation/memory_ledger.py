"""The ledger without PostgreSQL: the real stores on tables in memory.

Only the execution of a statement is replaced. The stores, their JSON and rows, and the repetition after a broken
connection are the real ones.
"""

import json
from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.ledger import Ledger
from number_orders.simulation.statements import (
    alarms,
    allowances,
    archive,
    breakers,
    clock,
    coverage,
    dead_letters,
    guard,
    history,
    holdings,
    intake,
    limits,
    notices,
    numbers,
    orders,
    outbox,
    pauses,
    producers,
    readings,
    removals,
    schedule,
    scheduled_runs,
    serial_locks,
    webhook_secrets,
    webhooks,
)
from number_orders.simulation.statements.registry import STATEMENTS
from number_orders.simulation.tables import Row, Tables

__all__ = ["STATEMENTS", "MemoryDatabase", "memory_ledger"]

# Importing these modules has registered their statements.
_LOADED = (
    alarms,
    allowances,
    archive,
    breakers,
    clock,
    coverage,
    dead_letters,
    guard,
    history,
    holdings,
    intake,
    limits,
    notices,
    numbers,
    orders,
    outbox,
    pauses,
    producers,
    readings,
    removals,
    schedule,
    scheduled_runs,
    serial_locks,
    webhook_secrets,
    webhooks,
)


class MemoryDatabase(Database):
    """A database that is a set of tables in memory; several may share one set."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def _reconnect(self, error: Exception) -> None:
        """Do nothing: there is no connection."""

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        return self._carry_out(statement, params)

    def _carry_out(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        """Run one statement, which takes no time and is one transaction."""
        return STATEMENTS[statement](self._tables, {name: _stored(value) for name, value in params.items()})


def memory_ledger(tables: Tables) -> Ledger:
    """Return a ledger on tables in memory."""
    return Ledger(MemoryDatabase(tables))


def _stored(value: Any) -> Any:
    """Return the value as a database stores it: JSON passes through text, so no object is shared with the caller."""
    return json.loads(json.dumps(value.obj)) if isinstance(value, Jsonb) else value
