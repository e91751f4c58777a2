"""The statements of `sql/coverage.sql`."""

from typing import Any

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def keep_coverage(tables: Tables, p: Params) -> list[Row]:
    """Store a snapshot."""
    of_all = {"carrier": p["carrier"], "query": p["query"], "taken_at": tables.clock()}
    tables.coverage += [{**of_all, **entry} for entry in p["entries"]]
    return []


@statement
def coverage_history(tables: Tables, p: Params) -> list[Row]:
    """Return the snapshots since a moment, the newest first."""
    since = tables.clock() - p["within"]
    found = [row for row in tables.coverage if row["taken_at"] >= since and p["carrier"] in {None, row["carrier"]}]
    by_name = sorted(found, key=lambda row: (row["carrier"], row["query"], row["entry"]))
    return [dict(row) for row in sorted(by_name, key=_taken_at, reverse=True)]


@statement
def coverage_totals(tables: Tables, p: Params) -> list[Row]:
    """Return how many numbers each carrier had in all."""
    since = tables.clock() - p["within"]
    found = [row for row in tables.coverage if row["taken_at"] >= since and not row["entry"]]
    names = ("carrier", "taken_at", "quantity")
    by_time = sorted(found, key=lambda row: (row["carrier"], row["taken_at"]))
    return [{name: row[name] for name in names} for row in by_time]


def _taken_at(row: Row) -> Any:
    return row["taken_at"]


@statement
def forget_coverage(tables: Tables, p: Params) -> list[Row]:
    """Delete old snapshots, and return how many."""
    kept_from = tables.clock() - p["older_than"]
    old = [row for row in tables.coverage if row["taken_at"] < kept_from][: p["at_once"]]
    tables.coverage[:] = [row for row in tables.coverage if not any(row is gone for gone in old)]
    return [{"forgotten": len(old)}]
