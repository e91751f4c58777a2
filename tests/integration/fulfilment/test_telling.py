"""Producers are told at least once and in order, and one producer's trouble is its own."""

from typing import Any

from number_orders.fulfilment.ports import Errand
from number_orders.orders.model import Lane
from tests.integration.fulfilment.practice import Keeper, Practice, accept, an_order, live, run, work

ON = ["ACCEPTED", "OPEN", "COMPLETED"]


def told_on(queue: str) -> dict[str, Any]:
    return {"notify": {"task": "crm.moved", "queue": queue, "on": ON}}


def states(herald: Keeper, key: str) -> list[str]:
    return [document["state"] for document in herald.kept if document["key"] == key]


def test_what_could_not_be_told_is_told_later_and_in_order(practice: Practice) -> None:
    """One queue refuses everything for a while: its documents wait their turn, the others' are told at once."""
    closed = {"shut"}

    def trouble(errand: Errand) -> str | None:
        return "the queue is shut" if errand.queue in closed else None

    practice.herald = Keeper(trouble)

    async def later() -> None:
        async with practice.opened() as room:
            await accept(room, an_order("one", **told_on("shut")), an_order("two", **told_on("open")))
            for _ in range(3):
                await work(room)
                practice.pass_time(minutes=10)
            assert states(practice.herald, "two") == ON
            assert states(practice.herald, "one") == []
            waiting = practice.rows("SELECT tries > 0 AS tried, trouble FROM tellings WHERE told_at IS NULL")
            assert waiting == [{"tried": True, "trouble": "the queue is shut"}] * 3
            closed.clear()
            await live(practice, room)
            assert states(practice.herald, "one") == ON

    run(later())


def test_an_order_that_moves_while_it_is_told_is_told_again(practice: Practice) -> None:
    """The next document is written while the first is on its way: it is owed anew, and told next."""

    async def moving() -> None:
        async with practice.opened() as room:
            await accept(room, an_order("one", **told_on("crm")))
            claims = await room.ledger.claim(practice.name, Lane.TELL, limit=10, lease=practice.manner.answer_within)
            assert claims is not None
            first = await room.ledger.untold([claim.order.order_id for claim in claims.claims], "task")
            await work(room, Lane.SUBMIT)
            await room.ledger.told(claims, claims.claims, first, "task")
            await room.ledger.release(claims, [claim.order.order_id for claim in claims.claims])
            await work(room, Lane.TELL)
            assert states(practice.herald, "one") == ["OPEN"]
            await live(practice, room)
            assert states(practice.herald, "one") == ["OPEN", "COMPLETED"]

    run(moving())


def test_a_worker_that_dies_telling_leaves_it_to_the_next(practice: Practice) -> None:
    """Claimed and never told: when the lease is over somebody else tells it."""

    async def dies() -> None:
        async with practice.opened() as room:
            await accept(room, an_order("one", **told_on("crm")))
            await room.ledger.claim(practice.name, Lane.TELL, limit=10, lease=practice.manner.answer_within)
            await work(room, Lane.TELL)
            assert practice.herald.kept == []
            practice.pass_time(minutes=1)
            await work(room, Lane.TELL)
            assert states(practice.herald, "one") == ["ACCEPTED"]
            await live(practice, room)

    run(dies())
