"""A stint holds on to what is in the air: answers are precious, whatever becomes of the ledger meanwhile."""

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
from number_orders.fulfilment.lanes import run as stint
from number_orders.fulfilment.service import OrderService
from number_orders.ledger.alarms import Alarms
from number_orders.ledger.connection import PostgresDatabase
from number_orders.ledger.history import History, Receipt
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane, Order
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.breaking import Line, pool_of
from tests.integration.fulfilment.practice import (
    BANDWIDTH,
    POST,
    Practice,
    SilentBell,
    accept,
    an_order,
    live,
    run,
    work,
)
from workers.clock import utc_now


@pytest.mark.parametrize("tries", [2, 6], ids=["for a moment", "for a second"])
def test_an_answer_is_held_while_the_ledger_is_away(practice: Practice, tries: int) -> None:
    """The carrier has answered, the ledger has not: the answer is written down when it is back, and nothing is lost."""

    async def held() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            line = Line(3, tries=tries, after_commit=False)  # claim, begin, and then the answer
            async with practice.opened(line.ledger(services.ledger)) as shaken:
                await work(shaken, Lane.SUBMIT)
            assert line.broke
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "Acknowledged"]

    run(held())


def test_a_claim_that_fails_lets_what_is_in_the_air_land(practice: Practice) -> None:
    """While one order is on its way, the ledger cannot be asked for the next: the answer comes home all the same."""
    practice.carrier.fault("slow", delay_s=0.4, times=1, **POST)

    async def in_the_air() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            line = Line(3, tries=2, after_commit=False)  # claim, begin, and then the next claim
            async with practice.opened(line.ledger(services.ledger)) as shaken:
                await work(shaken, Lane.SUBMIT)
            assert line.broke
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "Acknowledged"]
            assert practice.order(order_id)["losses"] == 0

    run(in_the_air())


def test_with_nothing_in_the_air_a_ledger_that_is_away_ends_the_stint(practice: Practice) -> None:
    """Nothing was begun, nothing is lost, and the order stays due."""

    async def away() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            line = Line(1, tries=2, after_commit=False)
            async with practice.opened(line.ledger(services.ledger)) as shaken:
                with pytest.raises(LedgerUnavailable):
                    await work(shaken, Lane.SUBMIT)
            assert practice.story(order_id) == ["OrderAccepted"]
            await live(practice, services)
            assert practice.untrue(order_id) == []

    run(away())


def test_an_answer_is_written_once_though_what_goes_with_it_cannot_be(practice: Practice) -> None:
    """The disk is full for all but the order's own step: that is not heard again each time the rest is tried."""

    class Receiptless(History):
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
            ledger.history = receiptless = Receiptless(ledger.database, ledger.orders, ledger.numbers, ledger.schedule)
            async with practice.opened(ledger) as shaken:
                await work(shaken, Lane.SUBMIT)
            assert receiptless.tries == 0
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "Acknowledged"]
            assert (await services.ledger.history.story(order_id)).receipts

    run(full())


def test_a_ledger_that_is_away_during_a_question_is_worth_a_line(practice: Practice) -> None:
    """What was to be noted meanwhile cannot be: the order is asked about again, and nobody reads a trace."""

    class Unalarmed(Alarms):
        async def raise_alarm(self, what: str, subject: str, **said: Any) -> int:
            raise LedgerUnavailable("gone")

    async def asked() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(criteria={"npa": "605"}))
            await work(services, Lane.SUBMIT)
            practice.pass_time(minutes=10)
            ledger = Ledger(services.ledger.database)
            ledger.alarms = Unalarmed(ledger.database)
            async with practice.opened(ledger) as shaken:
                with capture_logs() as said:
                    await work(shaken, Lane.ASK)
            assert [line["log_level"] for line in said if line["event"] == "ledger_away"] == ["warning"]
            assert not any("exc_info" in line for line in said)
            practice.carrier.advance(600)
            await live(practice, services)
            assert practice.untrue(order_id) == []

    practice.carrier.behave(strange_s=600)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    run(asked())


def test_an_order_that_the_adapter_trips_over_is_for_a_person_and_the_others_fly(practice: Practice) -> None:
    """A bug met before anything left: that order is parked with the reason, and costs the others nothing."""

    class Tripping(Bandwidth):
        def submit(self, order: Order) -> Conversation:
            if order.request.key == "bad":
                raise KeyError("no such thing")
            return (yield from super().submit(order))

    async def trips() -> None:
        async with practice.opened(adapter=Tripping("9900000", "743")) as services:
            good, bad = await accept(services, an_order("good"), an_order("bad"))
            await live(practice, services)
            assert practice.order(good)["state"] == "COMPLETED"
            assert practice.order(bad)["state"] == "PARKED"
            assert "KeyError" in practice.order(bad)["reason"]
            assert practice.sold(bad) == []

    run(trips())


def test_a_request_never_leaves_after_the_right_to_send_it_has_ended(practice: Practice) -> None:
    """A worker that dozed off between the claim and the sending finds that it is too late, and nothing leaves."""

    async def too_late() -> None:
        async with practice.opened(boot_clock=Dozing(minutes=10)) as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "NotSent"]
            assert "too late" in practice.order(order_id)["reason"]
            assert practice.sold() == []

    run(too_late())


def test_two_workers_at_once_buy_everything_once(practice: Practice) -> None:
    """Forty orders, a carrier that loses answers, two desks on the same lanes, in real time and in small time."""
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

    async def worker(desk: OrderService) -> None:
        while not practice.at_rest():
            for lane in (Lane.SUBMIT, Lane.ASK):
                await desk.work(practice.name, lane)
            await asyncio.sleep(0.02)

    async def both() -> None:
        async with practice.opened() as one, practice.opened() as two:
            order_ids = await accept(one, *(an_order(f"crm-{i}", quantity=1 + i % 3) for i in range(40)))
            await asyncio.gather(*(worker(services.orders) for services in (one, two, one, two)))
        assert practice.untrue(*order_ids) == []
        assert sum(row["losses"] for row in practice.rows("SELECT losses FROM orders")) > 5

    run(both())


def test_answers_that_land_within_a_moment_are_written_together(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five answers, a millisecond apart: one statement begins the orders, one writes what became of them."""
    monkeypatch.setattr(stint, "_GATHER_S", 60.0)  # a moment, on any machine: whoever has landed does not wait for it
    statements: list[str] = []

    class Noted(PostgresDatabase):
        async def _execute(self, statement: str, params: Any) -> list[DictRow]:
            statements.append(statement)
            return await super()._execute(statement, params)

    class Apart(Courier):
        landing = asyncio.Barrier(5)

        async def converse(self, *given: Any, **named: Any) -> Outcome:
            outcome = await super().converse(*given, **named)
            await asyncio.sleep(0.001 * await self.landing.wait())
            return outcome

    async def together() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(5)))
            async with practice.opened(Ledger(Noted(pool_of(services.ledger))), courier=Apart) as counted:
                await work(counted, Lane.SUBMIT)
            assert [practice.order(order_id)["state"] for order_id in order_ids] == ["OPEN"] * 5
        assert statements.count("record_steps") == 2
        assert statements.count("keep_receipts") == 1

    run(together())


def test_what_falls_due_while_a_stint_is_leaving_is_not_left_lying(practice: Practice) -> None:
    """Nobody rang for it, since somebody was looking: so whoever leaves says so first, and then looks once more."""

    class LastMoment(SilentBell):
        def reset(self, carrier: CarrierName, lane: Lane) -> None:
            practice.pass_time(hours=1)

    practice.bell = LastMoment()

    async def leaving() -> None:
        async with practice.opened() as services:
            scheduled = an_order("later", not_before=(utc_now() + timedelta(minutes=30)).isoformat())
            now, later = await accept(services, an_order("now"), scheduled)
            await work(services, Lane.SUBMIT)
            assert [practice.order(order_id)["state"] for order_id in (now, later)] == ["OPEN", "OPEN"]

    run(leaving())


@pytest.mark.parametrize(("concurrency", "called"), [(1, True), (40, False)], ids=["one at a time", "many at once"])
def test_who_cannot_keep_up_calls_for_another_and_who_can_does_not(
    practice: Practice, concurrency: int, called: bool
) -> None:
    """Twelve orders at a carrier that takes 150 ms over each: one after the other, others wait all the while."""
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


class Dozing:
    """A clock that says after its first reading that ages have passed."""

    def __init__(self, *, minutes: float) -> None:
        self._read = 0
        self._slept_s = 60 * minutes

    def __call__(self) -> float:
        self._read += 1
        return 0.0 if self._read == 1 else self._slept_s
