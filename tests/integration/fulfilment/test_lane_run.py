"""A lane run loses no answer, whatever happens to the ledger meanwhile."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import structlog
from psycopg.rows import DictRow
from structlog.testing import capture_logs

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import Conversation
from number_orders.carriers.http.courier import Courier, Outcome
from number_orders.fulfilment.lanes import run as lane_run
from number_orders.fulfilment.service import OrderService
from number_orders.ledger.alarms import Alarms
from number_orders.ledger.connection import PostgresDatabase
from number_orders.ledger.history import History, Receipt
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane, Order
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.breaking import FailingConnection, pool_of
from tests.integration.fulfilment.practice import (
    BANDWIDTH,
    POST,
    Practice,
    RecordingBell,
    accept,
    an_order,
    run,
    work,
    work_until_idle,
)
from workers.clock import utc_now


@pytest.mark.parametrize("tries", [2, 6], ids=["for a moment", "for a second"])
def test_answer_is_written_when_the_ledger_is_back(practice: Practice, tries: int) -> None:
    """The carrier has answered while the ledger was away: nothing is lost."""

    async def away() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            connection = FailingConnection(3, tries=tries, after_commit=False)  # claim, begin, and then the answer
            async with practice.opened(connection.ledger(services.ledger)) as failing:
                await work(failing, Lane.SUBMIT)
            assert connection.broke
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "Acknowledged"]

    run(away())


def test_failed_claim_does_not_lose_the_answers_of_attempts_in_flight(practice: Practice) -> None:
    """While one order is being sent, the ledger is away for the next claim: the answer is written all the same."""
    practice.carrier.fault("slow", delay_s=0.4, times=1, **POST)

    async def in_flight() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            connection = FailingConnection(3, tries=2, after_commit=False)  # claim, begin, and then the next claim
            async with practice.opened(connection.ledger(services.ledger)) as failing:
                await work(failing, Lane.SUBMIT)
            assert connection.broke
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "Acknowledged"]
            assert practice.order(order_id)["losses"] == 0

    run(in_flight())


def test_lane_run_ends_if_the_ledger_is_away_and_nothing_is_in_flight(practice: Practice) -> None:
    """Nothing was begun, nothing is lost, and the order stays due."""

    async def away() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            connection = FailingConnection(1, tries=2, after_commit=False)
            async with practice.opened(connection.ledger(services.ledger)) as failing:
                with pytest.raises(LedgerUnavailable):
                    await work(failing, Lane.SUBMIT)
            assert practice.story(order_id) == ["OrderAccepted"]
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(away())


def test_answer_is_written_once_although_its_receipts_fail(practice: Practice) -> None:
    """Only the receipts cannot be stored: they are tried again, and the answer is not recorded a second time."""

    class WithoutReceipts(History):
        tries = 2

        async def keep_receipts(self, receipts: Sequence[Receipt]) -> None:
            if self.tries:
                self.tries -= 1
                raise LedgerUnavailable("no space left on device")
            await super().keep_receipts(receipts)

    async def full() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            ledger = Ledger(services.ledger.database)
            ledger.history = without_receipts = WithoutReceipts(
                ledger.database, ledger.orders, ledger.numbers, ledger.schedule
            )
            async with practice.opened(ledger) as failing:
                await work(failing, Lane.SUBMIT)
            assert without_receipts.tries == 0
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "Acknowledged"]
            assert (await services.ledger.history.story(order_id)).receipts

    run(full())


def test_ledger_that_is_away_during_a_question_is_one_warning(practice: Practice) -> None:
    """The alarm cannot be raised: the order is asked about again, and the log has no traceback."""

    class WithoutAlarms(Alarms):
        async def raise_alarm(self, what: str, subject: str, **fields: Any) -> int:
            raise LedgerUnavailable("gone")

    async def asked() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(criteria={"npa": "605"}))
            await work(services, Lane.SUBMIT)
            practice.pass_time(minutes=10)
            ledger = Ledger(services.ledger.database)
            ledger.alarms = WithoutAlarms(ledger.database)
            async with practice.opened(ledger) as failing:
                with capture_logs() as logged:
                    await work(failing, Lane.ASK)
            assert [entry["log_level"] for entry in logged if entry["event"] == "ledger_away"] == ["warning"]
            assert not any("exc_info" in entry for entry in logged)
            practice.carrier.advance(600)
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    practice.carrier.behave(strange_s=600)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    run(asked())


def test_order_that_the_adapter_fails_on_is_parked_and_the_others_are_sent(practice: Practice) -> None:
    """A bug before anything was sent: that order is parked with the reason, and costs the others nothing."""

    class FailingBandwidth(Bandwidth):
        def submit(self, order: Order) -> Conversation:
            if order.request.key == "bad":
                raise KeyError("no such thing")
            return (yield from super().submit(order))

    async def fails() -> None:
        async with practice.opened(adapter=FailingBandwidth("9900000", "743")) as services:
            good, bad = await accept(services, an_order("good"), an_order("bad"))
            await work_until_idle(practice, services)
            assert practice.order(good)["state"] == "COMPLETED"
            assert practice.order(bad)["state"] == "PARKED"
            assert "KeyError" in practice.order(bad)["reason"]
            assert practice.sold(bad) == []

    run(fails())


def test_no_request_leaves_after_the_right_to_send_has_ended(practice: Practice) -> None:
    """The worker slept between claim and sending, and finds that it is too late."""

    async def too_late() -> None:
        async with practice.opened(boot_clock=SleepingClock(minutes=10)) as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "NotSent"]
            assert "too late" in practice.order(order_id)["reason"]
            assert practice.sold() == []

    run(too_late())


def test_two_workers_at_once_buy_every_order_once(practice: Practice) -> None:
    """Forty orders, a carrier that loses answers, two workers on the same lanes, in real time with short pauses."""
    practice.policy = CarrierPolicy(
        answer_within=timedelta(seconds=6),
        ask_first=timedelta(seconds=0.05),
        ask_max=timedelta(seconds=0.2),
        doubt_first=timedelta(seconds=0.1),
        doubt_patience=timedelta(seconds=0.5),
        resend_first=timedelta(seconds=0.05),
        losses_max=100,
    )
    practice.timeout_s = 3
    practice.carrier.behave(processing_s=[0, 0.3], latency_s={"order_create": [0, 0.02], "order_read": [0, 0.02]})
    faults = {"drop_after": 0.2, "drop_before": 0.1, "hang_after": 0.05, "error_after": 0.1, "timeout_400": 0.1}
    for seed, (fault, probability) in enumerate(faults.items()):
        practice.carrier.fault(fault, probability=probability, seed=seed, **POST)

    async def worker(orders: OrderService) -> None:
        while not practice.is_idle():
            for lane in (Lane.SUBMIT, Lane.ASK):
                await orders.work(practice.name, lane)
            await asyncio.sleep(0.02)

    async def both() -> None:
        async with practice.opened() as one, practice.opened() as two:
            order_ids = await accept(one, *(an_order(f"crm-{i}", quantity=1 + i % 3) for i in range(40)))
            await asyncio.gather(*(worker(services.orders) for services in (one, two, one, two)))
        assert practice.differences(*order_ids) == []
        assert sum(row["losses"] for row in practice.rows("SELECT losses FROM orders")) > 5

    run(both())


def test_answers_that_come_within_a_moment_are_written_together(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five answers, a millisecond apart: one statement begins the orders, one writes the answers."""
    monkeypatch.setattr(lane_run, "_GATHER_S", 60.0)  # longer than any test: the five answers must not be split
    statements: list[str] = []

    class CountingDatabase(PostgresDatabase):
        async def _execute(self, statement: str, params: Any) -> list[DictRow]:
            statements.append(statement)
            return await super()._execute(statement, params)

    class StaggeredCourier(Courier):
        all_answered = asyncio.Barrier(5)

        async def converse(self, *given: Any, **named: Any) -> Outcome:
            outcome = await super().converse(*given, **named)
            await asyncio.sleep(0.001 * await self.all_answered.wait())
            return outcome

    async def together() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(5)))
            async with practice.opened(
                Ledger(CountingDatabase(pool_of(services.ledger))), courier=StaggeredCourier
            ) as counted:
                await work(counted, Lane.SUBMIT)
            assert [practice.order(order_id)["state"] for order_id in order_ids] == ["OPEN"] * 5
        assert statements.count("record_steps") == 2
        assert statements.count("keep_receipts") == 1

    run(together())


def test_work_that_falls_due_while_a_lane_run_ends_is_found(practice: Practice) -> None:
    """No bell was rung for it, since the run had muted the lane: it allows bells first, and then looks once more."""

    class BellThatPassesTime(RecordingBell):
        def reset(self, carrier: CarrierName, lane: Lane) -> None:
            practice.pass_time(hours=1)

    practice.bell = BellThatPassesTime()

    async def ending() -> None:
        async with practice.opened() as services:
            scheduled = an_order("later", not_before=(utc_now() + timedelta(minutes=30)).isoformat())
            now, later = await accept(services, an_order("now"), scheduled)
            await work(services, Lane.SUBMIT)
            assert [practice.order(order_id)["state"] for order_id in (now, later)] == ["OPEN", "OPEN"]

    run(ending())


@pytest.mark.parametrize(("concurrency", "called"), [(1, True), (40, False)], ids=["one at a time", "many at once"])
def test_lane_run_that_cannot_keep_up_calls_another_child(practice: Practice, concurrency: int, called: bool) -> None:
    """Twelve orders, 150 ms each: one at a time the others wait, all at once none does."""
    practice.concurrency = concurrency
    practice.carrier.behave(latency_s={"order_create": [0.15, 0.15]})

    async def busy() -> None:
        async with practice.opened() as services:
            await accept(services, *(an_order(f"crm-{i}") for i in range(12)))
            practice.bell.rung.clear()
            await work(services, Lane.SUBMIT)
            assert len(practice.sold()) == 12
        assert ((BANDWIDTH, Lane.SUBMIT) in practice.bell.rung) is called

    run(busy())


class SleepingClock:
    """A clock that says after its first reading that much time has passed."""

    def __init__(self, *, minutes: float) -> None:
        self._read = 0
        self._slept_s = 60 * minutes

    def __call__(self) -> float:
        self._read += 1
        return 0.0 if self._read == 1 else self._slept_s
