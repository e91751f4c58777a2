"""One set of tests for two ledgers: on PostgreSQL, and the simulator's in memory.

A simulated world proves only as much as its ledger behaves like the real one, so both must pass the same tests.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, Protocol

import psycopg
from psycopg import sql

from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.model import CarrierName
from number_orders.simulation.clock import VirtualLoop, true_now
from number_orders.simulation.memory_ledger import memory_ledger
from number_orders.simulation.tables import Tables

BANDWIDTH = CarrierName("bandwidth")

Work = Callable[[Ledger], Awaitable[None]]
Holding = tuple[str, str, str | None, bool]


class LedgerHarness(Protocol):
    """A fresh ledger of one kind, and its clock."""

    def run(self, work: Work) -> None:
        """Open the ledger, with Bandwidth's lanes, and run `work` with it."""
        ...

    async def make_all_due(self) -> None:
        """Make every work item due now."""
        ...

    async def advance(self, span: timedelta) -> None:
        """Let time pass for everything that is accepted, due, limited or open until a moment."""
        ...

    async def holdings(self) -> list[Holding]:
        """Return every holding: its number, the keys of the orders that acquired and released it, whether it lasts."""
        ...


_MOMENTS: Final = {
    "orders": ("accepted_at", "charged_at", "ended_at"),
    "archived_orders": ("archived_at", "ended_at"),
    "restored_orders": ("restored_at",),
    "scheduled_runs": ("began_at", "ended_at"),
    "coverage_snapshots": ("taken_at",),
    "owed": ("not_before", "hurried_at"),
    "notices": ("received_at", "match_at"),
    "budgets": ("next_at", "paused_until"),
    "breakers": ("held_until", "opened_at", "probe_until", "closed_at"),
    "readings": ("not_before", "began_at", "whole_at"),
    "list_questions": ("asked_at",),
    "allowances": ("began_at",),
    "allowance_corrections": ("charged_at",),
    "tokens": ("expires_at", "last_used_at"),
    "signing_keys": ("made_at",),
    "webhook_deliveries": ("not_before",),
    "webhook_hosts": ("faulted_at", "held_until"),
    "tellings": ("tried_since",),
}
"""What is moved into the past on PostgreSQL, whose clock cannot be set."""


class PostgresHarness:
    """The real ledger."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, work: Work) -> None:
        async def with_ledger() -> None:
            async with PostgresLedger.at(self._url, wait_s=20) as ledger:
                await ledger.schedule.open_lanes([BANDWIDTH])
                await work(ledger)

        asyncio.run(with_ledger())

    async def make_all_due(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as db:
            await db.execute("UPDATE owed SET not_before = now()")

    async def advance(self, span: timedelta) -> None:
        async with await psycopg.AsyncConnection.connect(self._url) as db:
            for table, moments in _MOMENTS.items():
                earlier = sql.SQL(", ").join(
                    sql.SQL("{0} = {0} - %(span)s").format(sql.Identifier(name)) for name in moments
                )
                change = sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), earlier)
                await db.execute(change, {"span": span})

    async def holdings(self) -> list[Holding]:
        query = """
            SELECT e164, bought.key, gone.key, released_at IS NULL FROM held_numbers
            JOIN orders AS bought ON bought.order_id = acquired_by
            LEFT JOIN orders AS gone ON gone.order_id = released_by
            ORDER BY held_id"""
        async with await psycopg.AsyncConnection.connect(self._url) as db:
            return list(await (await db.execute(query)).fetchall())


class MemoryHarness:
    """The simulator's ledger, on virtual time."""

    def __init__(self) -> None:
        self._tables = Tables(true_now)

    def run(self, work: Work) -> None:
        async def with_ledger() -> None:
            await asyncio.sleep(timedelta(days=1).total_seconds())
            ledger = memory_ledger(self._tables)
            await ledger.schedule.open_lanes([BANDWIDTH])
            await work(ledger)

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(with_ledger())

    async def make_all_due(self) -> None:
        for row in self._tables.owed.values():
            row["not_before"] = self._tables.clock()

    async def advance(self, span: timedelta) -> None:
        await asyncio.sleep(span.total_seconds())

    async def holdings(self) -> list[Holding]:
        keys = {order_id: row["key"] for order_id, row in self._tables.orders.items()}
        return [
            (row["e164"], keys[row["acquired_by"]], keys.get(row["released_by"]), row["released_at"] is None)
            for row in self._tables.held
        ]
