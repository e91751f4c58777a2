"""What the schedule starts: comparisons and snapshots, each once; the archive, whose keys buy nothing again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.carriers.swift.coverage import SwiftMarket
from number_orders.fulfilment import inquirer
from number_orders.fulfilment.archiving import ArchiveRun
from number_orders.ledger.archive import Copied
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.practice import Practice, accept, an_order, run, work_until_idle
from tests.integration.fulfilment.swift_practice import SwiftPractice

MONTH = timedelta(days=31)


@pytest.fixture
def swift(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier)


def requests(practice: Practice) -> int:
    """Return how many requests the carrier has received."""
    return int(practice.carrier.report()["requests"]["total"])


def test_two_beats_make_one_comparison(practice: Practice) -> None:
    async def compare() -> None:
        async with practice.opened() as services:
            await services.orders.reconcile_all()
            asked = requests(practice)
            assert asked > 0
            await services.orders.reconcile_all()
            assert requests(practice) == asked
            practice.pass_time(hours=1)
            await services.orders.reconcile_all()
            assert requests(practice) > asked

    run(compare())


def test_after_a_fall_the_numbers_are_compared_once_when_orders_were_looked_for(practice: Practice) -> None:
    async def fall_and_compare() -> None:
        async with practice.opened() as services:
            await services.orders.reconcile_after_fall()
            assert requests(practice) == 0  # it has never fallen
            practice.db.execute("UPDATE guard SET identity = 'the server before'")
            await services.orders.sweep()
            before = requests(practice)
            await services.orders.reconcile_after_fall()
            assert requests(practice) == before  # too early: orders under way come first
            practice.pass_time(minutes=16)
            await services.orders.reconcile_after_fall()
            compared = requests(practice)
            assert compared > before
            for _ in range(2):
                practice.pass_time(hours=2)
                await services.orders.reconcile_after_fall()
            assert requests(practice) == compared
            practice.db.execute("UPDATE scheduled_runs SET ended_at = NULL")  # its worker was killed
            practice.pass_time(hours=2)
            await services.orders.reconcile_after_fall()
            assert requests(practice) > compared

    run(fall_and_compare())


def test_the_stock_is_counted_once_and_kept_by_area_code(swift: SwiftPractice) -> None:
    swift.market = SwiftMarket()

    async def count() -> None:
        async with swift.opened() as services:
            await services.orders.snapshot_coverage()
            await services.orders.snapshot_coverage()
            found = await services.ledger.coverage.history(timedelta(days=1))
        (total,) = (one.quantity for one in found if one.entry == "")
        groups = [one for one in found if one.entry]
        assert len({one.taken_at for one in found}) == 1
        assert all(one.entry.startswith("npa=") for one in groups)
        assert total == sum(one.quantity for one in groups) > 0

    run(count())


def test_a_carrier_that_does_not_answer_leaves_a_gap(swift: SwiftPractice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquirer, "_PAUSE_FIRST_S", 0.0)
    swift.market = SwiftMarket()
    swift.carrier.fault("error_before", method="GET", path="/inventory/coverage", times=20)

    async def count() -> None:
        async with swift.opened() as services:
            await services.orders.snapshot_coverage()
            found = await services.ledger.coverage.history(timedelta(days=1))
        assert found == []

    run(count())


def test_an_archived_order_that_is_sent_again_is_answered_and_not_bought(practice: Practice) -> None:
    practice.archive_after = MONTH

    async def archive_and_send_again() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order("crm-1"))
            await work_until_idle(practice, services)
            before = await services.orders.documents([order_id])
            practice.pass_time(days=62)
            assert await services.orders.archive() == ArchiveRun(0, 0, is_over=True)  # its receipts are still kept
            await services.orders.forget()
            assert await services.orders.archive() == ArchiveRun(1, 0, is_over=True)
            practice.pass_time(minutes=11)
            assert await services.orders.archive() == ArchiveRun(0, 1, is_over=True)
            assert practice.rows("SELECT FROM orders") == []

            again = await services.intake.submit(an_order("crm-1"), producer="default")
            assert (again.order_id, again.state) == (order_id, State.COMPLETED)
            (after,) = await services.orders.documents([order_id])
            assert {name: value for name, value in after.items() if not name.endswith("_at")} == {
                name: value for name, value in before[0].items() if not name.endswith("_at")
            }
            await work_until_idle(practice, services)
        assert len(practice.sold()) == 1

    run(archive_and_send_again())


def test_nothing_is_archived_in_a_guard_period_or_unless_it_is_set(practice: Practice) -> None:
    async def try_to() -> None:
        async with practice.opened() as services:
            assert await services.orders.archive() is None
        practice.archive_after = MONTH
        async with practice.opened() as services:
            await services.ledger.guard.begin(timedelta(hours=1), who="ana", why="a snapshot was put back")
            assert await services.orders.archive() == ArchiveRun(0, 0, is_over=False)

    run(try_to())


def test_a_run_that_takes_too_long_goes_on_with_smaller_batches(practice: Practice) -> None:
    """And an alarm says so if even the smallest takes too long; it is over with the next run that succeeds."""
    practice.archive_after = MONTH

    async def try_to() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("crm-1"))
            await work_until_idle(practice, services)
            practice.pass_time(days=62)
            await services.orders.forget()
            archive, asked = services.ledger.archive, []
            copy_next = archive.copy_next

            async def slow(older_than: timedelta, *, ended_from: datetime | None = None, at_once: int = 500) -> Copied:
                asked.append(at_once)
                if at_once > most:
                    raise LedgerUnavailable("PostgreSQL cancelled the statement")
                return await copy_next(older_than, ended_from=ended_from, at_once=at_once)

            archive.copy_next = slow  # type: ignore[method-assign]
            most = 0
            with pytest.raises(LedgerUnavailable):
                await services.orders.archive()
            assert asked == [500, 50, 5]
            assert practice.alarms() == [("not_archived", 1)]
            most = 50
            assert await services.orders.archive() == ArchiveRun(1, 0, is_over=True)
            assert practice.alarms() == []

    run(try_to())
