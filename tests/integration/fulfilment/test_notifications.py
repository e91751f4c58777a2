"""Documents are delivered at least once and in order, and a failing queue delays no other producer."""

from typing import Any

from number_orders.fulfilment.ports import Delivery
from number_orders.orders.model import Lane
from tests.integration.fulfilment.practice import (
    Practice,
    RecordingNotifier,
    accept,
    an_order,
    run,
    work,
    work_until_idle,
)

ON = ["ACCEPTED", "OPEN", "COMPLETED"]


def notified_on(queue: str) -> dict[str, Any]:
    return {"notify": {"task": "crm.moved", "queue": queue, "on": ON}}


def delivered_states(notifier: RecordingNotifier, key: str) -> list[str]:
    return [document["state"] for document in notifier.delivered if document["key"] == key]


def test_failed_delivery_is_repeated_later_and_in_order(practice: Practice) -> None:
    """One queue refuses everything for a while: its documents wait, those for other queues are delivered at once."""
    closed = {"shut"}

    def trouble(delivery: Delivery) -> str | None:
        return "the queue is shut" if delivery.queue in closed else None

    practice.notifier = RecordingNotifier(trouble)

    async def later() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("one", **notified_on("shut")), an_order("two", **notified_on("open")))
            for _ in range(3):
                await work(services)
                practice.pass_time(minutes=10)
            assert delivered_states(practice.notifier, "two") == ON
            assert delivered_states(practice.notifier, "one") == []
            waiting = practice.rows("SELECT tries > 0 AS tried, trouble FROM tellings WHERE told_at IS NULL")
            assert waiting == [{"tried": True, "trouble": "the queue is shut"}] * 3
            closed.clear()
            await work_until_idle(practice, services)
            assert delivered_states(practice.notifier, "one") == ON

    run(later())


def test_documents_that_are_refused_for_an_hour_raise_an_alarm(practice: Practice) -> None:
    """One alarm, however many there are. It is not raised for an outage of some minutes."""
    practice.notifier = RecordingNotifier(lambda delivery: f"no access to {delivery.queue}")

    async def refused() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("one", **notified_on("shut")), an_order("two", **notified_on("shut")))
            for _ in range(3):
                await work(services)
            for _ in range(12):
                practice.pass_time(minutes=5)
                await work(services, Lane.TELL)
            assert practice.alarms() == []
            for _ in range(12):
                practice.pass_time(minutes=5)
                await work(services, Lane.TELL)
            assert practice.alarms() == [("notifications_wait", 1)]
            (alarm,) = practice.rows("SELECT subject, detail FROM alarms")
            assert alarm["subject"] == "bandwidth"
            assert " documents are refused for more than 60 minutes" in alarm["detail"]
            assert "no access to shut" in alarm["detail"]

    run(refused())


def test_document_added_during_a_delivery_is_delivered_next(practice: Practice) -> None:
    """The order moves while its first document is being delivered."""

    async def moving() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("one", **notified_on("crm")))
            claims = await services.ledger.schedule.claim(
                practice.name, Lane.TELL, limit=10, lease=practice.policy.answer_within
            )
            assert claims is not None
            first = await services.ledger.outbox.pending([claim.order.order_id for claim in claims.claims], "task")
            await work(services, Lane.SUBMIT)
            await services.ledger.outbox.mark_delivered(claims, claims.claims, first, "task")
            await services.ledger.schedule.release(claims, [claim.order.order_id for claim in claims.claims])
            await work(services, Lane.TELL)
            assert delivered_states(practice.notifier, "one") == ["OPEN"]
            await work_until_idle(practice, services)
            assert delivered_states(practice.notifier, "one") == ["OPEN", "COMPLETED"]

    run(moving())


def test_document_of_a_dead_worker_is_delivered_by_another(practice: Practice) -> None:
    """Claimed and never delivered: when the lease has ended, another worker delivers it."""

    async def dies() -> None:
        async with practice.opened() as services:
            await accept(services, an_order("one", **notified_on("crm")))
            await services.ledger.schedule.claim(
                practice.name, Lane.TELL, limit=10, lease=practice.policy.answer_within
            )
            await work(services, Lane.TELL)
            assert practice.notifier.delivered == []
            practice.pass_time(minutes=1)
            await work(services, Lane.TELL)
            assert delivered_states(practice.notifier, "one") == ["ACCEPTED"]
            await work_until_idle(practice, services)

    run(dies())
