"""Messages are delivered in order, and none is lost."""

from dataclasses import replace

from number_orders.ledger.ledger import Ledger
from number_orders.orders.document import document
from number_orders.orders.events import Acknowledged, Event, Filled, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, Lane, Notify, Order, State
from tests.integration.ledger.examples import MINUTE, a_request, a_step, accept_order, claim_due, record_events
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness


def test_messages_are_pending_in_order_until_they_are_delivered(harness: LedgerHarness) -> None:
    """Two states to report: two messages, in order. After the delivery no work is left."""
    notify = Notify("crm.told", "crm", on=frozenset({State.OPEN, State.COMPLETED}))

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request(notify=notify))
        for event in (SubmissionBegun(), Acknowledged(CarrierOrderId("c-1")), Filled("COMPLETE", ())):
            step = replace(a_step(order, event, await ledger.now()), notification={"state": "x"}, channels=("task",))
            tells = any(effect.lane is Lane.TELL for effect in step.step.effects)
            await ledger.orders.record([step if tells else replace(step, notification=None, channels=())])
            order = step.step.order
        claims = await claim_due(ledger, Lane.TELL)
        pending = await ledger.outbox.pending([order.order_id], "task")
        assert [message.version for message in pending] == [2, 3]
        await ledger.outbox.mark_delivered(claims, claims.claims, pending, "task")
        assert await ledger.outbox.pending([order.order_id], "task") == []
        assert (await ledger.history.story(order.order_id)).work_items == ()

    harness.run(work)


def test_message_added_during_a_delivery_is_delivered_next(harness: LedgerHarness) -> None:
    """It is not lost, and it does not overtake the earlier one."""
    notify = Notify("crm.told", "crm", on=frozenset({State.OPEN, State.COMPLETED}))

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request(notify=notify))
        order = await record_events(ledger, order, SubmissionBegun())

        async def tell(event: Event, order: Order) -> Order:
            step = replace(a_step(order, event, await ledger.now()), notification={"v": 1}, channels=("task",))
            await ledger.orders.record([step])
            return step.step.order

        order = await tell(Acknowledged(CarrierOrderId("c-1")), order)
        claims = await claim_due(ledger, Lane.TELL)
        first = await ledger.outbox.pending([order.order_id], "task")
        await tell(Filled("COMPLETE", ()), order)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.TELL, limit=1, lease=MINUTE) is None  # nobody overtakes
        await ledger.outbox.mark_delivered(claims, claims.claims, first, "task")
        await ledger.schedule.release(claims, [order.order_id])
        claims = await claim_due(ledger, Lane.TELL)
        assert [message.version for message in await ledger.outbox.pending([order.order_id], "task")] == [3]
        await ledger.outbox.mark_delivered(
            claims, claims.claims, await ledger.outbox.pending([order.order_id], "task"), "task"
        )

    harness.run(work)


def test_message_has_moments_in_the_format_of_the_document(harness: LedgerHarness) -> None:
    """Equal to the last digit, also when the last digits are zeros."""
    notify = Notify("crm.told", "crm", on=frozenset({State.COMPLETED}))

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request(notify=notify))
        order = await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("c-1")))
        step = a_step(order, Filled("COMPLETE", ()), await ledger.now())
        await ledger.orders.record([replace(step, notification=document(step.step.order, ()), channels=("task",))])
        (message,) = await ledger.outbox.pending([order.order_id], "task")
        assert message.document == document((await ledger.orders.read([order.order_id]))[order.order_id], ())

    harness.run(work)
