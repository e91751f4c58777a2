"""Time for whole processes: it passes in the ledger and at the carriers alike, in a statement."""

from datetime import timedelta

import psycopg

from tests.acceptance.conftest import Backend
from tests.integration.fulfilment.practice import PASSING


def pass_time(backend: Backend, **time: float) -> None:
    """Let time pass. Nothing may be under way meanwhile; leases of workers that are dead run out."""
    with psycopg.connect(backend.ledger_url) as db:
        for statement in PASSING.split(";"):
            db.execute(statement.encode(), {"time": timedelta(**time)})
    backend.carrier.advance(timedelta(**time).total_seconds())
