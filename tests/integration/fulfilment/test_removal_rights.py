"""Only the owner of a number removes it, if owners have to prove themselves, and also if the removal had to wait."""

import contextlib
from datetime import timedelta
from typing import Any

import pytest

from number_orders.fulfilment.intake import Prospect, Refusal, Submission, Ticket
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import OrderRefused
from number_orders.orders.events import SentAgain
from number_orders.orders.lifecycle import AT_REST
from number_orders.orders.model import Lane, OrderId, State
from tests.integration.fulfilment.breaking import (
    CrashPoint,
    ProcessKilled,
    crashing_courier,
    crashing_ledger,
    kill_at_every_point,
)
from tests.integration.fulfilment.practice import Practice, an_order, run, work
from tests.later import LATER

ELSEWHERE = "+19195550134"


async def work_until_ended(practice: Practice, services: Services, *order_ids: OrderId) -> None:
    """Work and let time pass until these orders have ended."""
    for _ in range(40):
        await work(services)
        if all([(await state(services, order_id)).is_final for order_id in order_ids]):
            return
        practice.pass_time(minutes=10)
    raise AssertionError(practice.rows("SELECT order_id, state, reason FROM orders"))


async def buy(practice: Practice, services: Services, producer: str, *numbers: str, key: str = "buy") -> str:
    """Buy one number, perhaps this one."""
    named = {"numbers": list(numbers), "criteria": None, "quantity": None} if numbers else {}
    ticket = await services.intake.submit(an_order(key, **named), producer=producer, is_proven=True)
    await work_until_ended(practice, services, ticket.order_id)
    (e164,) = practice.numbers(ticket.order_id)
    return e164


def a_removal(key: str, *numbers: str, **more: object) -> dict[str, object]:
    return an_order(key, kind="remove_numbers", numbers=list(numbers), criteria=None, quantity=None, **more)


async def state(services: Services, order_id: OrderId) -> State:
    return (await services.ledger.orders.read([order_id]))[order_id].state


def test_without_proof_nothing_changes(practice: Practice) -> None:
    """A producer on a queue where nobody signs removes any number, known or not."""

    async def removing() -> None:
        async with practice.opened() as services:
            e164 = await buy(practice, services, "crm")
            raws = [a_removal("a", e164), a_removal("b", ELSEWHERE)]
            outcomes = await services.intake.submit_many(raws, producer="web")
            assert [type(outcome) for outcome in outcomes] == [Ticket, Ticket]

    run(removing())


def test_every_way_in_refuses_and_stores_nothing(practice: Practice) -> None:
    async def removing() -> None:
        async with practice.opened() as services:
            e164 = await buy(practice, services, "crm")
            foreign, own = a_removal("a", e164), a_removal("a", e164, not_before=LATER)
            with pytest.raises(OrderRefused, match=r"numbers\.0: must be a number that an order of this producer"):
                await services.intake.submit(foreign, producer="web", is_proven=True)
            (one,) = await services.intake.submit_many([foreign], producer="web", is_proven=True)
            (checked,) = await services.intake.check([foreign], producer="web", is_proven=True)
            together = await services.intake.submit_together(
                [
                    Submission(foreign, "web", is_proven=True),
                    Submission(own, "crm", is_proven=True),
                    Submission(a_removal("b", ELSEWHERE), "crm", is_proven=True),
                ]
            )
            assert [type(outcome) for outcome in (one, checked, *together)] == [
                *(Refusal, Refusal, Refusal),
                *(Ticket, Refusal),
            ]
            assert len(practice.rows("SELECT 1 FROM orders WHERE kind = 'remove_numbers'")) == 1
            (foreseen,) = await services.intake.check([a_removal("c", e164)], producer="crm", is_proven=True)
            assert isinstance(foreseen, Prospect)

    run(removing())


def test_removal_that_waited_is_parked_when_its_number_has_become_anothers(practice: Practice) -> None:
    """It was the producer's own when it was accepted. A person who sends it again has the last word."""

    async def waiting() -> None:
        async with practice.opened() as services:
            e164 = await buy(practice, services, "crm")
            late, now = [
                (await services.intake.submit(raw, producer="crm", is_proven=True)).order_id
                for raw in (a_removal("late", e164, not_before=LATER), a_removal("now", e164))
            ]
            await work_until_ended(practice, services, now)
            practice.carrier.advance(1000)  # the number is sold again
            assert await buy(practice, services, "web", e164) == e164

            await send_now(practice, services, late)
            assert practice.story(late) == ["OrderAccepted", "Parked"]
            reason = practice.order(late)["reason"]
            assert reason.startswith(f"{e164} may not be removed by this producer any more")
            assert "web" not in reason
            assert len(practice.rows("SELECT 1 FROM held_numbers WHERE released_at IS NULL")) == 1

            await services.orders.resolve(late, SentAgain("ann", "crm owns it"))
            await send_now(practice, services, late)
            await work_until_ended(practice, services, late)
            assert await state(services, late) is State.COMPLETED

    run(waiting())


def test_guard_period_is_named_because_the_purchase_may_be_forgotten(practice: Practice) -> None:
    """A removal that waited is looked for first, and judged when it is to be sent."""

    async def forgetting() -> None:
        async with practice.opened() as services:
            e164 = await buy(practice, services, "crm")
            raw = a_removal("waits", e164, not_before=LATER)
            waits = (await services.intake.submit(raw, producer="crm", is_proven=True)).order_id
            practice.db.execute("DELETE FROM held_numbers")
            practice.db.execute("DELETE FROM orders WHERE key = 'buy'")
            await services.ledger.guard.begin(timedelta(hours=72), who="ann", why="restored from Tuesday")
            with pytest.raises(OrderRefused, match=r"may have forgotten who brought it until 20.* UTC"):
                await services.intake.submit(a_removal("new", e164), producer="crm", is_proven=True)
            await send_now(practice, services, waits)
            assert practice.story(waits) == ["OrderAccepted", "HistoryLost"]
            for _ in range(40):
                practice.pass_time(minutes=10)
                await work(services)
            assert practice.story(waits)[-1] == "Parked"
            assert practice.order(waits)["reason"].endswith("as far as the restored ledger knows")

    run(forgetting())


@pytest.mark.parametrize(("is_own", "end", "sent"), [(True, "COMPLETED", 1), (False, "PARKED", 0)])
def test_worker_killed_at_any_point_of_a_judged_removal_sends_it_once_or_never(
    practice: Practice, end: str, sent: int, *, is_own: bool
) -> None:
    """In a guard period, after it was looked for: it is sent, or parked if its number has become another's."""

    async def killed_at(point: int, services: Services) -> bool:
        e164 = await buy(practice, services, "crm", key=f"buy-{point}")
        raw = a_removal(f"remove-{point}", e164, not_before=LATER)
        order_id = (await services.intake.submit(raw, producer="crm", is_proven=True)).order_id
        if not is_own:
            practice.db.execute("UPDATE orders SET producer = 'web' WHERE key = %s", [f"buy-{point}"])
        await services.ledger.guard.begin(timedelta(hours=72), who="ann", why="restored from Tuesday")
        practice.db.execute("UPDATE owed SET not_before = now() WHERE order_id = %s", [order_id])
        await work(services, Lane.SUBMIT)
        while practice.story(order_id)[-1] != "ProvenAbsent":
            practice.pass_time(minutes=10)
            await work(services, Lane.ASK)
        practice.pass_time(minutes=10)
        crash_point = CrashPoint(point)
        with contextlib.suppress(ProcessKilled):
            async with practice.opened(
                crashing_ledger(crash_point, services.ledger), crashing_courier(crash_point)
            ) as dying:
                await work(dying, Lane.SUBMIT)
        await work_until_at_rest(practice, services, order_id)
        assert practice.order(order_id)["state"] == end, (point, practice.story(order_id))
        assert disconnections(practice, order_id) == sent, (point, practice.story(order_id))
        await services.ledger.guard.end(who="ann", why="compared")
        return crash_point.reached

    async def every_point() -> None:
        assert await kill_at_every_point(practice, killed_at) > 5

    run(every_point())


def disconnections(practice: Practice, order_id: OrderId) -> int:
    """Return how often the carrier has taken the removal of an order."""
    log: dict[str, list[dict[str, Any]]] = practice.carrier.report()["http"]
    requests = log.get(practice.order(order_id)["reference"] or str(order_id), [])
    return sum((one["method"], one["status"]) == ("POST", 201) for one in requests)


async def work_until_at_rest(practice: Practice, services: Services, order_id: OrderId) -> None:
    """Work and let time pass until the order has ended or is parked."""
    for _ in range(40):
        await work(services)
        if (await state(services, order_id)) in AT_REST:
            return
        practice.pass_time(minutes=10)
        practice.carrier.advance(10)
    raise AssertionError(practice.story(order_id))


def test_removal_without_proof_that_waited_is_sent(practice: Practice) -> None:
    async def waiting() -> None:
        async with practice.opened() as services:
            e164 = await buy(practice, services, "crm")
            raw = a_removal("late", e164, not_before=LATER)
            late = (await services.intake.submit(raw, producer="web")).order_id
            await send_now(practice, services, late)
            await work_until_ended(practice, services, late)
            assert await state(services, late) is State.COMPLETED

    run(waiting())


async def send_now(practice: Practice, services: Services, order_id: OrderId) -> None:
    practice.db.execute("UPDATE owed SET not_before = now() WHERE order_id = %s", [order_id])
    await work(services, Lane.SUBMIT)
