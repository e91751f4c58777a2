"""Try a write as a worker does: a row in, the same row out, committed. Nothing is left of it.

A server that answers reads may still refuse writes, or never finish a commit. For the doctor, and for workers that it
asks. Uses a connection of its own, so it also shows what is wrong with an address, a password or a role.
"""

import threading
from typing import Final

import psycopg
from psycopg.rows import DictRow, dict_row

from number_orders.ledger.time_limit import time_limit

_STATE: Final = """
    SELECT pg_backend_pid() AS backend, pg_is_in_recovery() AS is_standby,
           current_setting('transaction_read_only') = 'on' AS is_read_only,
           current_setting('synchronous_standby_names') AS standbys"""
_INSERT: Final = (
    "INSERT INTO dead_letters (queue, why, body, size) VALUES ('', 'write check', '', 0) RETURNING letter_id"
)
_DELETE: Final = "DELETE FROM dead_letters WHERE letter_id = %(letter_id)s"
_WAITS: Final = "SELECT wait_event_type AS kind, wait_event AS event FROM pg_stat_activity WHERE pid = %(backend)s"
_SYNC_REP: Final = "SyncRep"


def find_write_fault(url: str, *, within_s: int) -> str | None:
    """Write to the ledger; return what is wrong in one sentence, or None. Takes at most some three times `within_s`."""
    try:
        with psycopg.connect(url, connect_timeout=within_s, row_factory=dict_row) as connection:
            return _try_write(connection, url, within_s)
    except psycopg.Error as fault:
        return _first_line(fault)


def _try_write(connection: psycopg.Connection[DictRow], url: str, within_s: int) -> str | None:
    state: DictRow = {}
    waits: list[str] = []
    look = threading.Timer(within_s, lambda: waits.append(_why_it_waits(url, state, within_s)))
    look.daemon = True
    look.start()
    try:
        with time_limit(connection, 2 * within_s):
            state |= connection.execute(_STATE).fetchone() or {}
            if state.get("is_read_only"):
                server = "is a standby" if state["is_standby"] else "takes no writes (default_transaction_read_only)"
                return f"the ledger is read-only: PostgreSQL {server}"
            letter = connection.execute(_INSERT).fetchone()
            connection.execute(_DELETE, letter)
            connection.commit()
    except psycopg.Error:
        if waits:
            return waits[0]
        raise
    finally:
        look.cancel()
    return waits[0] if waits else None


def _why_it_waits(url: str, state: DictRow, within_s: int) -> str:
    """Look at the waiting write from another connection."""
    slow = f"a write to the ledger did not finish within {within_s} s"
    try:
        with psycopg.connect(url, connect_timeout=within_s, autocommit=True, row_factory=dict_row) as other:
            found = other.execute(_WAITS, {"backend": state.get("backend")}).fetchone()
    except psycopg.Error:
        return slow
    if found is None or found["event"] is None:
        return slow
    if found["event"] == _SYNC_REP:
        return f"{slow}: commits wait for a synchronous standby ({state['standbys']}) that does not confirm them"
    return f"{slow}: PostgreSQL waits for {found['kind']} {found['event']}"


def _first_line(fault: psycopg.Error) -> str:
    text = str(fault).split("\n", 1)[0]
    return f"{text} (SQLSTATE {fault.sqlstate})" if fault.sqlstate else text
