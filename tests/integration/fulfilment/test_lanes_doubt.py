"""However an answer is lost, the order is asked about, and never sent again on a guess."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import Conversation
from number_orders.carriers.http.courier import boot_clock
from number_orders.carriers.http.credentials import OAuth2ClientCredentials, StaticBearer
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.orders.events import Deferred, SubmissionBegun
from number_orders.orders.model import Lane, Order, OrderId
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import (
    GET,
    LIST,
    POST,
    Practice,
    accept,
    an_order,
    run,
    work,
    work_until_idle,
)
from workers.clock import utc_now


@asynccontextmanager
async def with_short_timeout(practice: Practice) -> AsyncIterator[Services]:
    """Open services for a carrier that hangs. Only the request that hangs is sent with them."""
    practice.silence_s = 0.8
    try:
        async with practice.opened(auth=StaticBearer("sandbox-token")) as services:
            yield services
    finally:
        practice.silence_s = None


async def accept_and_send(practice: Practice, *, hangs: bool = False, **changes: Any) -> OrderId:
    """Take an order in, and send it."""
    async with with_short_timeout(practice) if hangs else practice.opened() as services:
        (order_id,) = await accept(services, an_order(**changes))
        await work(services, Lane.SUBMIT)
        return order_id


async def work_to_the_end(practice: Practice, order_id: OrderId, **changes: Any) -> None:
    """Let a later worker bring the order to its end, and compare with the carrier."""
    async with practice.opened(**changes) as services:
        await work_until_idle(practice, services)
    assert practice.differences(order_id) == []


PROCESSED: list[dict[str, Any]] = [
    {"fault": "drop_after"},
    {"fault": "error_after"},
    {"fault": "error_after", "status": 500},
    {"fault": "hang_after"},
    {"fault": "timeout_400"},
    {"fault": "code_5086"},
    {"fault": "garbage"},
    {"fault": "html"},
    {"fault": "html", "status": 201},
    {"fault": "empty"},
    {"fault": "error_after", "status": 409},
    {"fault": "error_after", "status": 302},
]


def test_order_that_arrived_is_found_and_not_sent_again(practice: Practice) -> None:
    """The carrier has the order, we have no answer: the first search by our reference finds it."""
    found = ["OrderAccepted", "SubmissionBegun", "AnswerLost", "Acknowledged", "Filled"]

    async def lost(fault: dict[str, Any], key: str) -> None:
        practice.carrier.fault(**fault, times=1, **POST)
        order_id = await accept_and_send(practice, key=key, hangs=fault["fault"] == "hang_after")
        assert practice.order(order_id)["state"] == "IN_DOUBT", fault
        await work_to_the_end(practice, order_id)
        assert practice.story(order_id) == found, fault

    for number, fault in enumerate(PROCESSED):
        run(lost(fault, f"crm-{number}"))


NOT_PROCESSED: list[dict[str, Any]] = [
    {"fault": "drop_before"},
    {"fault": "error_before"},
    {"fault": "hang_before"},
    {"fault": "timeout_400", "processed": False},
    {"fault": "code_5086", "processed": False},
    {"fault": "garbage", "processed": False},
]


def test_order_that_never_arrived_is_sent_again_after_patience(practice: Practice) -> None:
    """Searched for at least three times within five minutes, then sent again, once, with the same reference."""

    async def never_arrived(fault: dict[str, Any], key: str) -> None:
        practice.carrier.fault(**fault, times=1, **POST)
        order_id = await accept_and_send(practice, key=key, hangs=fault["fault"] == "hang_before")
        assert practice.order(order_id)["state"] == "IN_DOUBT", fault
        async with practice.opened() as services:
            for passed_s in range(0, 240, 60):  # asked five times in four minutes: not yet
                practice.pass_time(seconds=60)
                await work(services, Lane.ASK, Lane.SUBMIT)
                assert practice.order(order_id)["state"] == "IN_DOUBT", passed_s
        assert practice.sold(order_id) == []
        await work_to_the_end(practice, order_id)
        story = practice.story(order_id)
        assert story.count("SubmissionBegun") == 2
        assert story.count("NotListed") >= 3
        assert story[-3:] == ["SubmissionBegun", "Acknowledged", "Filled"]

    for number, fault in enumerate(NOT_PROCESSED):
        run(never_arrived(fault, f"crm-{number}"))


def test_absence_takes_three_searches_however_much_time_has_passed(practice: Practice) -> None:
    """One search an hour later proves nothing."""
    practice.carrier.fault("drop_before", times=1, **POST)

    async def later() -> None:
        order_id = await accept_and_send(practice)
        async with practice.opened() as services:
            for asks in (1, 2):
                practice.pass_time(hours=1)
                await work(services, Lane.ASK)
                assert practice.order(order_id)["doubt_asks"] == asks
                assert practice.order(order_id)["state"] == "IN_DOUBT"
            practice.pass_time(hours=1)
            await work(services, Lane.ASK)
            assert practice.order(order_id)["state"] == "ACCEPTED"

    run(later())


def test_order_that_is_listed_late_is_not_bought_twice(practice: Practice) -> None:
    """The first searches find nothing, a later one does."""
    practice.carrier.behave(listing_delay_s=600)  # in the carrier's time
    practice.carrier.fault("drop_after", times=1, **POST)

    async def delayed() -> None:
        order_id = await accept_and_send(practice)
        async with practice.opened() as services:
            for _ in range(2):
                practice.pass_time(seconds=60)
                await work(services, Lane.ASK)
        assert practice.order(order_id)["doubt_asks"] == 2
        practice.carrier.advance(600)
        await work_to_the_end(practice, order_id)
        assert practice.story(order_id)[-4:] == ["NotListed", "NotListed", "Acknowledged", "Filled"]

    run(delayed())


@pytest.mark.parametrize("fault", ["garbage", "html", "empty", "too_many_requests"])
def test_failed_search_is_no_proof_of_absence(practice: Practice, fault: str) -> None:
    """While the list cannot be read nothing is concluded, however much time passes."""
    practice.carrier.fault("drop_after", times=1, **POST)

    async def blind() -> None:
        order_id = await accept_and_send(practice)
        practice.carrier.fault(fault, **LIST)
        async with practice.opened() as services:
            for _ in range(6):
                practice.pass_time(hours=1)
                await work(services, Lane.ASK, Lane.SUBMIT)
        assert practice.story(order_id)[-1] == "AnswerLost"
        assert ("overdue", 6) in practice.alarms()
        practice.carrier.clear_faults()
        await work_to_the_end(practice, order_id)

    run(blind())


def test_order_without_any_answer_is_parked_after_three_losses(practice: Practice) -> None:
    """Sent three times, lost three times, never listed: a person decides, and no work is left."""
    practice.carrier.fault("drop_before", **POST)

    async def given_up() -> None:
        order_id = await accept_and_send(practice)
        async with practice.opened() as services:
            await work_until_idle(practice, services)
        order = practice.order(order_id)
        assert (order["state"], order["sends"], order["losses"]) == ("PARKED", 3, 3)
        assert "every answer was lost" in order["reason"]
        assert practice.sold() == []

    run(given_up())


def test_absent_order_is_parked_if_the_policy_says_so(practice: Practice) -> None:
    """`on_not_listed` is park: the order is never sent again by itself."""
    practice.policy = CarrierPolicy(resend_when_absent=False)
    practice.carrier.fault("drop_before", times=1, **POST)

    async def parked() -> None:
        order_id = await accept_and_send(practice)
        async with practice.opened() as services:
            await work_until_idle(practice, services)
        order = practice.order(order_id)
        assert (order["state"], order["sends"]) == ("PARKED", 1)
        assert "for a person to decide" in order["reason"]

    run(parked())


def test_order_found_twice_is_parked_with_both_ids(practice: Practice) -> None:
    """The list hid the first for longer than our patience, so the order was bought twice."""
    practice.carrier.behave(listing_delay_s=600)
    practice.carrier.fault("drop_after", times=1, **POST)

    async def twice() -> None:
        order_id = await accept_and_send(practice)
        async with practice.opened() as services:
            for _ in range(5):
                practice.pass_time(minutes=2)
                await work(services, Lane.ASK)
            assert practice.order(order_id)["state"] == "ACCEPTED"
            practice.carrier.fault("drop_after", times=1, **POST)
            practice.pass_time(minutes=2)
            await work(services, Lane.SUBMIT)
            practice.carrier.advance(600)
            await work_until_idle(practice, services)
        sold = [order["order_id"] for order in practice.sold(order_id)]
        order = practice.order(order_id)
        assert len(sold) == 2
        assert (order["state"], order["carrier_order_id"]) == ("PARKED", sold[0])
        assert all(carrier_order_id in order["reason"] for carrier_order_id in sold)

    run(twice())


def test_order_of_a_dead_worker_is_in_doubt(practice: Practice) -> None:
    """It was begun, and nothing was heard for longer than any request may live."""

    async def silent() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            order = (await services.ledger.orders.read([order_id]))[order_id]
            recorder = Recorder(services.ledger, {practice.name: practice.policy})
            await recorder.hear([Heard(order, SubmissionBegun())], now=await services.ledger.now())
            await work(services, Lane.ASK)
            assert practice.order(order_id)["state"] == "SUBMITTING"
            practice.pass_time(seconds=46)
            await work(services, Lane.ASK)
            assert (practice.order(order_id)["state"], practice.order(order_id)["losses"]) == ("IN_DOUBT", 1)
        await work_to_the_end(practice, order_id)

    run(silent())


def test_429_pauses_the_limit_group_and_fails_no_order(practice: Practice) -> None:
    """Twelve orders meet a limit: all wait until it is gone, and each is bought once."""
    practice.carrier.behave(limits={"ORDER": 4}, limit_window_s=600)

    async def limited() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(12)))
            await work(services, Lane.SUBMIT)
            (limit,) = practice.rows("SELECT limit_group, why FROM budgets WHERE paused_until > now()")
            assert limit == {"limit_group": "ORDER", "why": "HTTP 429: too many requests"}
            begun = practice.rows("SELECT FROM order_events WHERE event = 'SubmissionBegun'")
            await work(services, Lane.SUBMIT)
            assert len(practice.rows("SELECT FROM order_events WHERE event = 'SubmissionBegun'")) == len(begun)
            practice.carrier.behave(limits={"ORDER": None})
            await work_until_idle(practice, services)
            assert practice.differences(*order_ids) == []
            assert {row["losses"] for row in practice.rows("SELECT losses FROM orders")} == {0}

    run(limited())


def test_revoked_token_is_renewed_within_the_conversation(practice: Practice) -> None:
    """A 401 means that nothing was done: a new token, the same order, one purchase, no doubt."""

    async def revoked() -> None:
        async with practice.opened() as services:
            first = await accept(services, an_order("one"))
            await work_until_idle(practice, services)
            assert practice.carrier.revoke_tokens() >= 1
            second = await accept(services, an_order("two"))
            await work(services, Lane.SUBMIT)
            practice.carrier.revoke_tokens()
            await work_until_idle(practice, services)
            assert practice.differences(*first, *second) == []
            assert practice.story(*second) == ["OrderAccepted", "SubmissionBegun", "Acknowledged", "Filled"]

    run(revoked())


@pytest.mark.parametrize(
    "auth",
    [StaticBearer("unknown"), OAuth2ClientCredentials("me", "wrong", clock=boot_clock, now=utc_now)],
    ids=["token", "client"],
)
def test_refused_credentials_make_orders_wait(practice: Practice, auth: Any) -> None:
    """Nothing was sent, so nothing is in doubt. With good credentials everything continues."""

    async def refused() -> None:
        async with practice.opened(auth=auth) as services:
            (order_id,) = await accept(services)
            for _ in range(3):
                await work(services, Lane.SUBMIT)
                practice.pass_time(minutes=6)
        order = practice.order(order_id)
        assert (order["state"], order["losses"], practice.sold()) == ("ACCEPTED", 0, [])
        await work_to_the_end(practice, order_id)

    run(refused())


@pytest.mark.parametrize(
    ("fault", "alarm"),
    [
        ("garbage", "unreadable_answer"),
        ("html", None),
        ("empty", None),
        ("hang_before", None),
        ("too_many_requests", None),
    ],
)
def test_unreadable_answer_to_a_question_changes_nothing(practice: Practice, fault: str, alarm: str | None) -> None:
    """An open order stays open, is asked about again, and ends as the carrier says."""

    async def asked() -> None:
        order_id = await accept_and_send(practice)
        practice.carrier.fault(fault, **GET)
        async with with_short_timeout(practice) if fault == "hang_before" else practice.opened() as services:
            for _ in range(2):
                practice.pass_time(minutes=1)
                await work(services, Lane.ASK)
                assert practice.order(order_id)["state"] == "OPEN"
        practice.carrier.clear_faults()
        await work_to_the_end(practice, order_id)
        assert practice.alarms() == ([(alarm, 2)] if alarm else [])

    run(asked())


def test_unknown_status_counts_as_open_and_raises_one_alarm(practice: Practice) -> None:
    """Five orders with one unknown status: one alarm however often they are asked about, and true ends."""
    practice.carrier.behave(strange_s=600)

    async def strange() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}", criteria={"npa": "605"}) for i in range(5)))
            await work(services, Lane.SUBMIT)
            for _ in range(3):
                practice.pass_time(minutes=10)
                await work(services, Lane.ASK)
            assert {practice.order(order_id)["state"] for order_id in order_ids} == {"OPEN"}
            ((what, times),) = practice.alarms()
            assert (what, times >= 5) == ("status_never_heard_of", True)
            practice.carrier.advance(600)
            await work_until_idle(practice, services)
            assert practice.differences(*order_ids) == []

    run(strange())


def test_status_that_contradicts_the_listed_numbers_is_completed_with_errors(practice: Practice) -> None:
    """COMPLETED with nothing completed: the list of the order's numbers says what was bought."""

    async def contradictory() -> None:
        order_id = await accept_and_send(practice, criteria={"npa": "208"}, quantity=2)
        async with practice.opened() as services:
            await work_until_idle(practice, services)
        (sold,) = practice.sold(order_id)
        assert practice.numbers(order_id) == sorted(sold["bought"])
        assert practice.order(order_id)["state"] in {"COMPLETED", "COMPLETED_WITH_ERRORS"}

    run(contradictory())


def test_backorder_is_filled_in_parts_and_ends(practice: Practice) -> None:
    """Half at once, the rest later: numbers are stored as they come, and the order is asked about more slowly."""
    practice.carrier.behave(backorder_s=600)

    async def backordered() -> None:
        order_id = await accept_and_send(practice, criteria={"npa": "307"}, quantity=4, allow_backorder=True)
        async with practice.opened() as services:
            practice.pass_time(seconds=3)
            await work(services, Lane.ASK)
            order = practice.order(order_id)
            assert (order["state"], order["carrier_status"]) == ("OPEN", "BACKORDERED")
            assert len(practice.numbers(order_id)) == 2
            for _ in range(3):
                practice.pass_time(hours=1)
                await work(services, Lane.ASK)
            assert practice.story(order_id)[-1] == "StillOpen"  # without news there is no event
            practice.carrier.advance(600)
            practice.pass_time(hours=1)
            await work(services, Lane.ASK)
        assert practice.differences(order_id) == []
        assert len(practice.numbers(order_id)) == 4

    run(backordered())


def test_overdue_order_raises_an_alarm_and_is_still_asked_about(practice: Practice) -> None:
    """The carrier never ends it: one alarm that is counted, and the order is never given up."""
    practice.policy = CarrierPolicy(overdue_after=timedelta(hours=2))

    async def never_ends() -> None:
        order_id = await accept_and_send(practice, criteria={"npa": "907"})
        async with practice.opened() as services:
            for hour in range(1, 5):
                practice.pass_time(hours=1)
                await work(services, Lane.ASK)
                raised = [times for what, times in practice.alarms() if what == "overdue"]
                assert raised == ([hour - 1] if hour > 2 else [] if hour < 2 else raised)
        assert practice.order(order_id)["state"] == "OPEN"
        assert practice.rows("SELECT not_before > now() AS later FROM owed") == [{"later": True}]

    run(never_ends())


def count_overdue_alarms(practice: Practice) -> list[int]:
    """Return how often the overdue alarm was raised."""
    return [times for what, times in practice.alarms() if what == "overdue"]


def test_order_that_cannot_be_sent_for_too_long_raises_an_alarm(practice: Practice) -> None:
    """Its credentials are refused: one alarm, raised once it has been tried for more than an hour."""

    async def revoked() -> None:
        async with practice.opened(auth=StaticBearer("revoked")) as services:
            (order_id,) = await accept(services)
            for times in ([], [], [], [1], [2]):
                await work(services, Lane.SUBMIT)
                assert count_overdue_alarms(practice) == times
                practice.pass_time(minutes=25)
        assert practice.order(order_id)["state"] == "ACCEPTED"
        ((detail,),) = [row.values() for row in practice.rows("SELECT detail FROM alarms")]
        assert "HTTP 401" in detail
        await work_to_the_end(practice, order_id)

    run(revoked())


def test_order_that_waited_on_purpose_is_not_overdue(practice: Practice) -> None:
    """It was scheduled, then deferred by a rule of the carrier: only the time after that counts."""

    class Ruled(Bandwidth):
        """Has a rule that nothing is sent on the first day."""

        rule: datetime | None = None

        def submit(self, order: Order) -> Conversation:
            if self.rule is not None:
                until, self.rule = self.rule, None
                return Deferred("not on the first day", until)
            return (yield from super().submit(order))

    async def purposely() -> None:
        adapter = Ruled("9900000", "743")
        async with practice.opened(adapter=adapter, auth=StaticBearer("revoked")) as services:
            now = await services.ledger.now()
            (order_id,) = await accept(services, an_order(not_before=(now + timedelta(hours=5)).isoformat()))
            await work(services, Lane.SUBMIT)
            practice.pass_time(hours=5)
            await work(services, Lane.SUBMIT)
            practice.pass_time(minutes=50)
            adapter.rule = await services.ledger.now() + timedelta(hours=5)
            await work(services, Lane.SUBMIT)
            practice.pass_time(hours=5)
            for _ in range(3):
                await work(services, Lane.SUBMIT)
                assert count_overdue_alarms(practice) == []
                practice.pass_time(minutes=25)
            await work(services, Lane.SUBMIT)
            assert count_overdue_alarms(practice) == [1]
            tried = [event for event in practice.story(order_id) if event != "SubmissionBegun"]
            assert tried == ["OrderAccepted", "NotSent", "Deferred", *["NotSent"] * 4]

    run(purposely())
