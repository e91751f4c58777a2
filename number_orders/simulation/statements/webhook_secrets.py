"""The statements of `sql/webhook_secrets.sql`."""

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def add_webhook_secret(tables: Tables, p: Params) -> list[Row]:
    """Store a secret in the free place of its producer."""
    taken = {row["place"] for row in _valid(tables) if row["producer"] == p["producer"]}
    free = sorted({1, 2} - taken)
    if not free:
        return []
    row: Row = {"secret_id": tables.identity(), "producer": p["producer"], "place": free[0], "secret": p["secret"]}
    row |= {"added_at": tables.clock(), "added_by": p["by"], "removed_at": None, "removed_by": None}
    tables.webhook_secrets.append(row)
    return [{"secret_id": row["secret_id"]}]


@statement
def webhook_secrets_of(tables: Tables, p: Params) -> list[Row]:
    """Return every secret that a producer has or had, without the secret itself."""
    names = ("secret_id", "producer", "added_at", "added_by", "removed_at", "removed_by")
    found = (row for row in tables.webhook_secrets if row["producer"] == p["producer"])
    return [{name: row[name] for name in names} | {"now": tables.clock()} for row in found]


@statement
def remove_webhook_secret(tables: Tables, p: Params) -> list[Row]:
    """Forget a secret."""
    for row in _valid(tables):
        if (row["producer"], row["secret_id"]) == (p["producer"], p["secret_id"]):
            row.update(secret=None, removed_at=tables.clock(), removed_by=p["by"])
            return [{"secret_id": row["secret_id"]}]
    return []


@statement
def producers_with_webhook_secret(tables: Tables, p: Params) -> list[Row]:
    """Return which of these producers have a secret."""
    having = {row["producer"] for row in _valid(tables)}
    return [{"producer": producer} for producer in sorted(having & set(p["producers"]))]


def _valid(tables: Tables) -> list[Row]:
    return [row for row in tables.webhook_secrets if row["removed_at"] is None]
