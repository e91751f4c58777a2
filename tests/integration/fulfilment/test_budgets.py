"""A budget refuses or parks what exceeds it; what is not bought may be ordered again."""

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from number_orders.fulfilment.intake import Intake, Prospect, Refusal, Ticket
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.allowances import Limit
from number_orders.orders.budget import Above, Span
from number_orders.orders.errors import OrderRefused
from number_orders.orders.events import Acknowledged, Event, PartlyFilled, SentAgain, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, Lane, NumberResult, NumberState, OrderId, State
from number_orders.orders.numbers import E164
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, accept, an_order, run, work, work_until_idle
from tests.later import LATER
from workers.clock import utc_now


async def left(services: Services) -> int | None:
    (allowance,) = await services.ledger.allowances.read("default")
    return allowance.left


async def hear(practice: Practice, services: Services, order_id: OrderId, event: Event) -> State:
    order = (await services.ledger.orders.read([order_id]))[order_id]
    recorder = Recorder(services.ledger, {BANDWIDTH: practice.policy})
    return (await recorder.hear([Heard(order, event)], now=await services.ledger.now()))[order_id].state


def test_refusal_names_the_budget_and_a_known_order_keeps_its_ticket(practice: Practice) -> None:
    async def exceeding() -> None:
        async with practice.opened() as services:
            await services.ledger.allowances.set_limits("default", [Limit(Span.HOUR, 3)])
            (known,) = await accept(services, an_order("a", quantity=3))
            with pytest.raises(OrderRefused) as refused:
                await services.intake.submit(an_order("b", quantity=2), producer="default")
            (fault,) = refused.value.faults
            assert fault.field == "budget"
            assert fault.rule.startswith("2 numbers are more than the 0 left of 3 per hour until ")
            outcomes = await services.intake.submit_many(
                [an_order("a", quantity=3), an_order("b", quantity=1)], producer="default"
            )
            assert isinstance(outcomes[0], Ticket)
            assert (outcomes[0].order_id, outcomes[0].new) == (known, False)
            assert isinstance(outcomes[1], Refusal)
            assert (await services.intake.submit(an_order("b", quantity=2), producer="web")).new

    run(exceeding())


def test_check_foresees_what_the_budget_does_with_each_order_of_a_file(practice: Practice) -> None:
    """In their sequence: what one takes, the next does not have. Then `submit_many` does the same."""
    raws = [
        an_order("a", quantity=2),
        an_order("b", quantity=2),
        an_order("c", quantity=1),
        an_order("a", quantity=2),
        an_order("d", quantity=0),
    ]

    async def checking() -> None:
        async with practice.opened() as services:
            await services.ledger.allowances.set_limits("default", [Limit(Span.HOUR, 3)])
            first, exceeding, last, repeated, bad = await services.intake.check(raws, producer="default")
            assert isinstance(first, Prospect)
            assert [limit.left for limit in first.limits] == [3]
            assert isinstance(exceeding, Refusal)
            assert isinstance(last, Prospect)
            assert [limit.left for limit in last.limits] == [1]
            assert isinstance(repeated, Ticket)
            assert isinstance(bad, Refusal)
            assert practice.rows("SELECT 1 FROM orders") == []
            assert await left(services) == 3
            stored = await services.intake.submit_many(raws, producer="default")
            assert [type(outcome) for outcome in stored] == [Ticket, Refusal, Ticket, Ticket, Refusal]
            assert isinstance(stored[1], Refusal)
            assert str(stored[1].error) == str(exceeding.error)

    run(checking())


@pytest.mark.parametrize("span", list(Span))
def test_check_says_that_an_order_would_be_parked_and_why(practice: Practice, span: Span) -> None:
    async def checking() -> None:
        async with practice.opened() as services:
            await services.ledger.allowances.set_limits("default", [Limit(span, 2)], above=Above.PARK)
            (foreseen,) = await services.intake.check([an_order("a", quantity=3)], producer="default")
            assert isinstance(foreseen, Prospect)
            ticket = await services.intake.submit(an_order("a", quantity=3), producer="default")
            assert ticket.state is State.PARKED
            assert practice.order(ticket.order_id)["reason"] == foreseen.parked

    run(checking())


def limited_intake(practice: Practice, services: Services, *, numbers_per_hour: int) -> Intake:
    """Return the intake with a limit for producers for whom nobody has set one."""
    return Intake(
        services.ledger.intake,
        {BANDWIDTH: practice.adapter()},
        practice.bell,
        now=utc_now,
        numbers_per_hour=numbers_per_hour,
        secrets=services.ledger.webhook_secrets,
        removals=services.ledger.removals,
    )


def test_check_knows_the_limit_of_a_producer_that_has_never_ordered(practice: Practice) -> None:
    async def checking() -> None:
        async with practice.opened() as services:
            intake = limited_intake(practice, services, numbers_per_hour=5)
            (fits,) = await intake.check([an_order("a", quantity=5)], producer="new")
            assert isinstance(fits, Prospect)
            (exceeds,) = await intake.check([an_order("a", quantity=6)], producer="new")
            assert isinstance(exceeds, Refusal)
            with pytest.raises(OrderRefused) as refused:
                await intake.submit(an_order("a", quantity=6), producer="new")
            assert str(refused.value) == str(exceeds.error)

    run(checking())


def test_producer_without_a_limit_is_warned_of_once(practice: Practice) -> None:
    """With the default, and the command that sets a limit."""
    structlog.reset_defaults()  # the fixture leaves out all but what is critical
    lines: list[Any] = []

    async def ordering() -> None:
        async with practice.opened() as services:
            intake = limited_intake(practice, services, numbers_per_hour=1000)
            with capture_logs() as logged:
                for key in ("a", "b"):
                    await intake.submit(an_order(key), producer="new shop")
            lines.extend(logged)

    run(ordering())
    warnings = [line for line in lines if line["event"] == "producer_without_limit"]
    assert [(line["log_level"], line["producer"], line["numbers_per_hour"]) for line in warnings] == [
        ("warning", "new shop", 1000)
    ]
    assert warnings[0]["remedy"] == "number-orders producers limit 'new shop' --per-hour N"


def test_cancelled_order_gives_its_numbers_back(practice: Practice) -> None:
    async def cancelling() -> None:
        async with practice.opened() as services:
            await services.ledger.allowances.set_limits("default", [Limit(Span.HOUR, 3)])
            (order_id,) = await accept(services, an_order("a", quantity=3))
            assert await left(services) == 0
            for _ in range(2):
                await services.orders.cancel(order_id, by="crm")
            assert await left(services) == 3

    run(cancelling())


def test_partial_order_gives_back_what_it_did_not_bring(practice: Practice) -> None:
    """Numbers that were reported before the end count as well as those that come with it."""
    numbers = [NumberResult(E164(f"+1919555012{i}"), NumberState.ACQUIRED) for i in range(3)]

    async def partly() -> None:
        async with practice.opened() as services:
            await services.ledger.allowances.set_limits("default", [Limit(Span.HOUR, 10)])
            (order_id,) = await accept(services, an_order("a", quantity=10))
            await hear(practice, services, order_id, SubmissionBegun())
            await hear(practice, services, order_id, Acknowledged(CarrierOrderId("7")))
            end = PartlyFilled("PARTIAL", tuple(numbers), "3 of 10")
            assert await hear(practice, services, order_id, end) is State.PARTIAL
            assert await left(services) == 7

    run(partly())


def test_approved_order_is_bought_and_counts(practice: Practice) -> None:
    """An order that its budget has parked is sent when an operator says so, and not before."""
    asked = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["PARKED", "COMPLETED"]}}

    async def approving() -> None:
        async with practice.opened() as services:
            await services.ledger.allowances.set_limits("default", [Limit(Span.HOUR, 2)], above=Above.PARK)
            ticket = await services.intake.submit(an_order("a", quantity=3, **asked), producer="default")
            assert ticket.state is State.PARKED
            assert practice.bell.rung == [(BANDWIDTH, Lane.TELL)]
            await work(services)
            assert practice.sold() == []
            await services.orders.resolve(ticket.order_id, SentAgain("ann@desk", "a large customer"))
            await work_until_idle(practice, services)
            assert practice.order(ticket.order_id)["state"] == "COMPLETED"
            told = [(document["state"], document["version"]) for document in practice.notifier.delivered]
            assert told[0] == ("PARKED", 1)
            assert [state for state, _ in told] == ["PARKED", "COMPLETED"]
            (allowance,) = await services.ledger.allowances.read("default")
            assert allowance.taken == 3

    run(approving())


def test_approved_order_is_not_sent_before_its_time(practice: Practice) -> None:
    async def scheduled() -> None:
        async with practice.opened() as services:
            await services.ledger.allowances.set_limits("default", [Limit(Span.ORDER, 1)], above=Above.PARK)
            ticket = await services.intake.submit(an_order("a", quantity=2, not_before=LATER), producer="default")
            await services.orders.resolve(ticket.order_id, SentAgain("ann@desk", "they may"))
            await work(services)
            assert practice.order(ticket.order_id)["state"] == "ACCEPTED"
            assert practice.sold() == []

    run(scheduled())
