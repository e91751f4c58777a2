"""Producers are told at least once and in order, and one producer's trouble is its own."""

from typing import Any

from number_orders.fulfilment.ports import Delivery
from number_orders.orders.model import Lane
from tests.integration.fulfilment.practice import Keeper, Practice, accept, an_order, live, run, work

ON = ["ACCEPTED", "OPEN", "COMPLETED"]


def told_on(queue: str) -> dict[str, Any]:
    return {"notify": {"task": "crm.moved", "queue": queue, "on": ON}}


def states(notifier: Keeper, key: str) -> list[str]:
    return [document["state"] for document in notifier.kept if document["key"] == key]


def test_what_could_not_be_told_is_told_later_and_in_order(practice: Practice) -> None:
    """One queue refuses everything for a while: its documents wait their turn, the others' are told at once."""
    closed = {"shut"}

    def trouble(delivery: Delivery) -> str | None:
        return "the queue is shut" if delivery.queue in closed else None

    practice.notifier = Keeper(trouble)

    async def later() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("one", **told_on("shut")), an_order("two", **told_on("open")))
            for _ in range(3):
                await work(services)
                practice.pass_time(minutes=10)
            assert states(practice.notifier, "two") == ON
            assert states(practice.notifier, "one") == []
            waiting = practice.rows("SELECT tries > 0 AS tried, trouble FROM tellings WHERE told_at IS NULL")
            assert waiting == [{"tried": True, "trouble": "the queue is shut"}] * 3
            closed.clear()
            await live(practice, services)
            assert states(practice.notifier, "one") == ON

    run(later())


def test_an_order_that_moves_while_it_is_told_is_told_again(practice: Practice) -> None:
    """The next document is written while the first is on its way: it is owed anew, and told next."""

    async def moving() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("one", **told_on("crm")))
            claims = await services.ledger.schedule.claim(
                practice.name, Lane.TELL, limit=10, lease=practice.policy.answer_within
            )
            assert claims is not None
            first = await services.ledger.outbox.pending([claim.order.order_id for claim in claims.claims], "task")
            await work(services, Lane.SUBMIT)
            await services.ledger.outbox.mark_delivered(claims, claims.claims, first, "task")
            await services.ledger.schedule.release(claims, [claim.order.order_id for claim in claims.claims])
            await work(services, Lane.TELL)
            assert states(practice.notifier, "one") == ["OPEN"]
            await live(practice, services)
            assert states(practice.notifier, "one") == ["OPEN", "COMPLETED"]

    run(moving())


def test_a_worker_that_dies_telling_leaves_it_to_the_next(practice: Practice) -> None:
    """Claimed and never told: when the lease is over somebody else tells it."""

    async def dies() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("one", **told_on("crm")))
            await services.ledger.schedule.claim(
                practice.name, Lane.TELL, limit=10, lease=practice.policy.answer_within
            )
            await work(services, Lane.TELL)
            assert practice.notifier.kept == []
            practice.pass_time(minutes=1)
            await work(services, Lane.TELL)
            assert states(practice.notifier, "one") == ["ACCEPTED"]
            await live(practice, services)

    run(dies())
