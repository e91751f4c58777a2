"""The time of day that goes into the ledger is the ledger's, whatever this machine's clock shows."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from number_orders.carriers.http.courier import boot_clock
from number_orders.carriers.http.retry_after import retry_at
from number_orders.fulfilment.lanes.rate import LedgerClock
from workers import clock

MINUTE = timedelta(minutes=1)


def test_a_pause_that_a_carrier_wants_is_a_moment_of_the_ledgers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a machine five minutes behind it would lie in the past of PostgreSQL, and the carrier be asked at once."""
    true_time = time.time
    ledger_now = datetime.fromtimestamp(true_time(), UTC)
    monkeypatch.setattr(time, "time", lambda: true_time() - 300)
    followed = LedgerClock()
    with clock.following(followed):
        assert ledger_now - clock.utc_now() > 4 * MINUTE
        followed.learn(ledger_now, asked_at=boot_clock(), heard_at=boot_clock())
        wanted = retry_at({"retry-after": "30"}, clock.utc_now())
    assert wanted is not None
    assert ledger_now - clock.utc_now() > 4 * MINUTE, "nobody is followed any more"
    assert abs(wanted - ledger_now - timedelta(seconds=30)) < MINUTE
    assert ledger_now - clock.machine_now() > 4 * MINUTE
