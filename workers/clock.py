"""The time of day in this process: PostgreSQL's as soon as it is known, since moments go into the ledger."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from number_orders.carriers.http.courier import boot_clock
from number_orders.fulfilment.lanes.rate import LedgerClock


class _Followed:
    """The ledger's clock that this process follows, once it has one."""

    clock: LedgerClock | None = None


@contextmanager
def following(clock: LedgerClock) -> Iterator[None]:
    """Go by the ledger's clock in the context. Each process has its own: a pool child follows after its fork."""
    former, _Followed.clock = _Followed.clock, clock
    try:
        yield
    finally:
        _Followed.clock = former


def utc_now() -> datetime:
    """Return the ledger's time, or this machine's while the ledger's is not known.

    A carrier's `Retry-After: 30` becomes a moment in the ledger, where it counts by PostgreSQL's clock.
    """
    ledger_time = _Followed.clock.at(boot_clock()) if _Followed.clock else None
    return ledger_time or machine_now()


def machine_now() -> datetime:
    """Return what the clock of this machine shows."""
    return datetime.fromtimestamp(time.time(), UTC)
