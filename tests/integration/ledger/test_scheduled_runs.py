"""A run begins once in its time, however many beats send its tick; coverage snapshots are kept and forgotten."""

import asyncio
from datetime import datetime, timedelta

from number_orders.ledger.ledger import Ledger, PostgresLedger
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness

HOUR = timedelta(hours=1)


def test_a_run_begins_once_in_its_time(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        runs = ledger.scheduled_runs
        assert await runs.last("reconcile") is None
        first, second = [await runs.begin("reconcile", not_within=HOUR) for _ in range(2)]
        assert first is not None
        assert second is None
        assert await runs.begin("coverage", not_within=HOUR)
        await harness.advance(HOUR)
        began_at = await runs.begin("reconcile", not_within=HOUR)
        assert began_at is not None
        await runs.end("reconcile", first)  # it took longer than a run may
        assert await runs.last("reconcile") is None
        await runs.end("reconcile", began_at)
        assert (last := await runs.last("reconcile")) is not None
        assert await ledger.now() - last < timedelta(minutes=1)

    harness.run(work)


def test_of_many_ticks_at_once_one_begins(ledger_url: str) -> None:
    async def begin() -> list[datetime | None]:
        async with PostgresLedger.at(ledger_url, wait_s=20, connections_max=8) as ledger:
            begun = (ledger.scheduled_runs.begin("reconcile", not_within=HOUR) for _ in range(20))
            return list(await asyncio.gather(*begun))

    assert sum(began_at is not None for began_at in asyncio.run(begin())) == 1


def test_snapshots_are_read_newest_first_and_forgotten(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.coverage.keep(BANDWIDTH, "all", {"": 12, "npa=919": 5, "npa=252": 7})
        await harness.advance(48 * HOUR)
        await ledger.coverage.keep(BANDWIDTH, "all", {"": 5, "npa=919": 5})

        found = await ledger.coverage.history(timedelta(days=30))
        assert [(one.entry, one.quantity) for one in found] == [
            ("", 5),
            ("npa=919", 5),
            ("", 12),
            ("npa=252", 7),
            ("npa=919", 5),
        ]
        assert len(await ledger.coverage.history(HOUR)) == 2
        assert await ledger.coverage.history(HOUR, carrier="telco") == []
        await ledger.coverage.forget(24 * HOUR, at_once=2)
        assert len(await ledger.coverage.history(timedelta(days=30))) == 2

    harness.run(work)
