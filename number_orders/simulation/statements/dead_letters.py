"""The statements of `sql/dead_letters.sql`."""

from datetime import datetime

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def store_dead_letter(tables: Tables, p: Params) -> list[Row]:
    """Store a dead letter."""
    at: datetime = tables.clock()
    tables.dead_letters.append({"letter_id": tables.identity(), "received_at": at, **p})
    return []


@statement
def dead_letters(tables: Tables, p: Params) -> list[Row]:
    """Return dead letters, latest first."""
    return [dict(row) for row in tables.dead_letters[::-1][: p["limit"]]]


@statement
def delete_dead_letters(tables: Tables, p: Params) -> list[Row]:
    """Delete dead letters, and return those that existed."""
    gone = [row for row in tables.dead_letters if row["letter_id"] in p["letter_ids"]]
    tables.dead_letters[:] = [row for row in tables.dead_letters if row not in gone]
    return gone
