"""Which ledger this is. A broker's messages belong to one ledger, and its workers compare (`workers.broker_owner`)."""

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from number_orders.ledger.time_limit import time_limit
from number_orders.orders.errors import LedgerUnavailable

_IDENTITY: Final = """
    SELECT (SELECT system_identifier FROM pg_control_system()) AS cluster,
           (SELECT oid FROM pg_database WHERE datname = current_database()) AS database_oid,
           current_database() AS database, coalesce(current_schema(), '') AS schema"""
_CONNECT_S: Final = 2
_ANSWER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class LedgerIdentity:
    """A ledger by what PostgreSQL says of itself. It survives a failover, and a restore in the same cluster."""

    ledger_id: str
    """Cluster, database and schema, such as `7412334455667788990/16384/public`."""
    database: str
    """The name of the database, for people."""


def read_identity(url: str) -> LedgerIdentity:
    """Ask PostgreSQL which ledger this is, on a connection of its own, within a few seconds.

    Raises:
        LedgerUnavailable: It does not answer, or refuses.
    """
    try:
        with (
            psycopg.connect(url, connect_timeout=_CONNECT_S, autocommit=True, row_factory=dict_row) as connection,
            time_limit(connection, _ANSWER_S),
        ):
            row: dict[str, Any] | None = connection.execute(_IDENTITY).fetchone()
    except psycopg.Error as fault:
        raise LedgerUnavailable(str(fault)) from fault
    assert row is not None, "a SELECT without FROM returns one row"
    return LedgerIdentity(f"{row['cluster']}/{row['database_oid']}/{row['schema']}", str(row["database"]))
