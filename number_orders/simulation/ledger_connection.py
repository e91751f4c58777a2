"""The connection between one process and the ledger.

Statements take time, and the connection may break before a statement or after it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import psycopg

from number_orders.simulation.incidents import Incidents
from number_orders.simulation.memory_ledger import MemoryDatabase
from number_orders.simulation.process import Process
from number_orders.simulation.tables import Row, Tables

_ROUND_TRIP_S = (0.0005, 0.02)
_REFUSED_S = 0.2
_SLOWLY_BACK = 0.2
_BROKEN = "server closed the connection unexpectedly"


class StatementListener(Protocol):
    """Called after every statement."""

    def on_statement(self, process: str, statement: str, params: Mapping[str, Any], rows: list[Row]) -> None:
        """Check the tables just after a statement."""
        ...


class LedgerConnection(MemoryDatabase):
    """The ledger as one process reaches it."""

    def __init__(self, tables: Tables, process: Process, incidents: Incidents, listener: StatementListener) -> None:
        super().__init__(tables)
        self._process = process
        self._incidents = incidents
        self._watcher = listener

    async def _execute(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        incidents, process = self._incidents, self._process
        await process.checkpoint(f"before {statement}")
        if incidents.is_ongoing("ledger_outages"):
            await asyncio.sleep(_REFUSED_S)
            await process.checkpoint("the ledger is away")
            raise psycopg.OperationalError("connection refused")
        lost = incidents.happens(incidents.faults.ledger_lost)
        await asyncio.sleep(incidents.random_s(*_ROUND_TRIP_S))
        if lost and incidents.choose("before", "after") == "before":
            await process.checkpoint("the connection broke")
            raise psycopg.OperationalError(_BROKEN)
        rows = self._carry_out(statement, params)
        self._watcher.on_statement(process.name, statement, params, rows)
        if incidents.chance(_SLOWLY_BACK):  # others may write between a statement and its answer
            await asyncio.sleep(incidents.random_s(*_ROUND_TRIP_S))
        await process.checkpoint(f"after {statement}")
        if lost:
            raise psycopg.OperationalError(_BROKEN)
        return rows
