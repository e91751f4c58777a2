"""The statement of `sql/clock.sql`."""

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def now(tables: Tables, p: Params) -> list[Row]:
    """Return the ledger's time."""
    return [{"now": tables.clock()}]
