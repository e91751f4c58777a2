"""Documents for URLs: queued per host, sent on leases, tried until they are delivered or given up."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from number_orders.ledger import webhooks
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.webhooks import WEBHOOKS, DueWebhooks, Outcome, Settled
from number_orders.orders.events import Acknowledged, Event, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, Lane, Notify, Order, OrderId, State
from tests.integration.ledger.examples import HOUR, MINUTE, a_new_order, a_request, a_step
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness

HOST: Final = "crm.example:443"
URL: Final = "https://crm.example/hooks"
ON: Final = frozenset({State.SUBMITTING, State.OPEN, State.COMPLETED})
SECRET: Final = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="


async def an_order(
    ledger: Ledger,
    key: str = "crm-1",
    *,
    url: str = URL,
    channels: tuple[str, ...] = ("url",),
    producer: str = "default",
) -> Order:
    """Accept an order, and write the document of its first change."""
    new = a_new_order(a_request(key, notify=Notify(url=url, on=ON)))
    await ledger.intake.accept([replace(new, producer=producer, reference=f"{producer}-{key}")])
    order = (await ledger.orders.read([new.order_id]))[new.order_id]
    return await a_change(ledger, order, SubmissionBegun(), channels=channels)


async def a_change(ledger: Ledger, order: Order, event: Event, *, channels: tuple[str, ...] = ("url",)) -> Order:
    """Record an event with a document."""
    step = a_step(order, event, await ledger.now())
    pending = type(step)(
        before=step.before,
        step=step.step,
        notification={"key": order.request.key, "state": step.step.order.state},
        channels=channels,
    )
    assert await ledger.orders.record([pending])
    return step.step.order


async def claim(ledger: Ledger, *, limit: int = 100, per_host: int = 10, per_producer: int = 100) -> DueWebhooks:
    """Claim what is due; there must be something."""
    due = await ledger.webhooks.claim(limit=limit, per_host=per_host, per_producer=per_producer, lease=MINUTE)
    assert due is not None
    return due


async def nothing_is_due(ledger: Ledger) -> bool:
    """Tell whether nothing can be claimed."""
    return await ledger.webhooks.claim(limit=100, per_host=100, per_producer=100, lease=MINUTE) is None


async def settle(ledger: Ledger, due: DueWebhooks, outcome: Outcome, **facts: object) -> None:
    """Record the same outcome for all that was claimed."""
    settled = [Settled(webhook, outcome, **facts) for webhook in due.webhooks]  # type: ignore[arg-type]  # by name
    await ledger.webhooks.settle(due, settled)


async def messages(ledger: Ledger, order_id: OrderId) -> list[tuple[int, bool, int, bool]]:
    """Return version, whether it is delivered, tries, and whether it is given up, of each document."""
    story = await ledger.history.story(order_id)
    return [(m["version"], m["told_at"] is not None, m["tries"], m["gave_up_at"] is not None) for m in story.messages]


def test_documents_of_one_order_are_sent_one_after_the_other(harness: LedgerHarness) -> None:
    """The second is due when the first is delivered, and then nothing is left."""

    async def work(ledger: Ledger) -> None:
        await ledger.webhook_secrets.add("default", SECRET, by="ana")
        order = await an_order(ledger)
        order = await a_change(ledger, order, Acknowledged(CarrierOrderId("c-1")))
        assert await ledger.webhooks.queue({order.order_id: HOST})
        assert (WEBHOOKS, Lane.TELL) in await ledger.schedule.due_lanes()
        first = await claim(ledger)
        (webhook,) = first.webhooks
        assert (webhook.producer, webhook.host, webhook.url, webhook.secrets) == ("default", HOST, URL, (SECRET,))
        assert webhook.message is not None
        assert (webhook.message.version, webhook.message.document["state"]) == (1, "SUBMITTING")
        assert await nothing_is_due(ledger)
        await settle(ledger, first, Outcome.DELIVERED, reached=True)
        second = await claim(ledger)
        assert second.webhooks[0].message is not None
        assert second.webhooks[0].message.version == 2
        await settle(ledger, second, Outcome.DELIVERED, reached=True)
        assert await nothing_is_due(ledger)
        assert (WEBHOOKS, Lane.TELL) not in await ledger.schedule.due_lanes()
        assert await messages(ledger, order.order_id) == [(1, True, 1, False), (2, True, 1, False)]
        assert not await ledger.webhooks.queue({order.order_id: HOST})

    harness.run(work)


def test_document_added_while_another_is_sent_is_not_lost(harness: LedgerHarness) -> None:
    """It is queued during the delivery: the order stays queued."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger)
        await ledger.webhooks.queue({order.order_id: HOST})
        first = await claim(ledger)
        order = await a_change(ledger, order, Acknowledged(CarrierOrderId("c-1")))
        await ledger.webhooks.queue({order.order_id: HOST})
        assert await nothing_is_due(ledger)  # nobody overtakes
        await settle(ledger, first, Outcome.DELIVERED, reached=True)
        (webhook,) = (await claim(ledger)).webhooks
        assert webhook.message is not None
        assert webhook.message.version == 2

    harness.run(work)


def test_failed_document_is_due_again_after_its_wait(harness: LedgerHarness) -> None:
    """And a later document of the order waits behind it."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger)
        await ledger.webhooks.queue({order.order_id: HOST})
        await settle(ledger, await claim(ledger), Outcome.FAILED, reached=True, trouble="HTTP 500", wait=HOUR)
        order = await a_change(ledger, order, Acknowledged(CarrierOrderId("c-1")))
        await ledger.webhooks.queue({order.order_id: HOST})
        await harness.advance(timedelta(minutes=59))
        assert await nothing_is_due(ledger)
        await harness.advance(timedelta(minutes=2))
        (webhook,) = (await claim(ledger)).webhooks
        assert webhook.message is not None
        assert (webhook.message.version, webhook.message.tries) == (1, 1)
        assert webhook.message.tried_since is not None
        assert timedelta(minutes=60) < await ledger.now() - webhook.message.tried_since < timedelta(minutes=62)

    harness.run(work)


def test_lease_of_a_dead_worker_ends(harness: LedgerHarness) -> None:
    """Another worker sends the document; what the first one says later changes only what is known of the document."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger)
        await ledger.webhooks.queue({order.order_id: HOST})
        first = await claim(ledger)
        await harness.advance(timedelta(minutes=2))
        second = await claim(ledger)
        await settle(ledger, first, Outcome.FAILED, reached=True, trouble="HTTP 500", wait=HOUR)
        assert await nothing_is_due(ledger)  # the second has its lease
        await settle(ledger, second, Outcome.DELIVERED, reached=True)
        assert await nothing_is_due(ledger)
        assert await messages(ledger, order.order_id) == [(1, True, 2, False)]

    harness.run(work)


def test_each_host_has_few_places(harness: LedgerHarness) -> None:
    """Twenty orders for one host and one for another: two and one at a time, also over several claims."""

    async def work(ledger: Ledger) -> None:
        busy = [await an_order(ledger, f"busy-{index}") for index in range(20)]
        quiet = await an_order(ledger, "quiet", url="https://other.example/")
        await ledger.webhooks.queue({order.order_id: HOST for order in busy})
        await ledger.webhooks.queue({quiet.order_id: "other.example:443"})
        first = await claim(ledger, per_host=2)
        assert sorted(webhook.host for webhook in first.webhooks) == [HOST, HOST, "other.example:443"]
        assert await ledger.webhooks.claim(limit=100, per_host=2, per_producer=100, lease=MINUTE) is None
        await settle(ledger, first, Outcome.DELIVERED, reached=True)
        assert [webhook.host for webhook in (await claim(ledger, per_host=2)).webhooks] == [HOST, HOST]
        assert [webhook.host for webhook in (await claim(ledger, per_host=10, limit=3)).webhooks] == [HOST] * 3

    harness.run(work)


def test_producer_with_many_hosts_has_its_share_and_no_more(harness: LedgerHarness) -> None:
    """Its older documents, for many hosts, leave places to a producer that comes later."""

    async def work(ledger: Ledger) -> None:
        for index in range(8):
            order = await an_order(ledger, f"many-{index}", producer="many")
            await ledger.webhooks.queue({order.order_id: f"host-{index}.example:443"})
        await harness.advance(MINUTE)
        for index in range(3):
            order = await an_order(ledger, f"few-{index}", producer="few")
            await ledger.webhooks.queue({order.order_id: HOST})

        first = await claim(ledger, limit=4, per_producer=5)
        assert Counter(webhook.producer for webhook in first.webhooks) == {"many": 2, "few": 2}
        second = await claim(ledger, limit=2, per_producer=5)
        assert Counter(webhook.producer for webhook in second.webhooks) == {"many": 1, "few": 1}
        third = await claim(ledger, per_producer=5)
        assert Counter(webhook.producer for webhook in third.webhooks) == {"many": 2}
        assert await ledger.webhooks.claim(limit=100, per_host=10, per_producer=5, lease=MINUTE) is None
        await settle(ledger, first, Outcome.DELIVERED, reached=True)
        assert Counter(webhook.producer for webhook in (await claim(ledger, per_producer=5)).webhooks) == {"many": 2}

    harness.run(work)


def test_host_without_an_answer_is_left_alone_and_then_tried_once(
    harness: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three faults in a row; an answer, also a bad one, ends it. Other hosts are not held."""
    monkeypatch.setattr(webhooks, "_HOLD_FIRST", HOUR)

    async def work(ledger: Ledger) -> None:
        orders = [await an_order(ledger, f"crm-{index}") for index in range(5)]
        await ledger.webhooks.queue({order.order_id: HOST for order in orders})
        for _ in range(3):
            await harness.advance(timedelta(seconds=1))
            await settle(ledger, await claim(ledger, per_host=1), Outcome.FAILED, reached=False, wait=timedelta())
        assert await nothing_is_due(ledger)
        assert (WEBHOOKS, Lane.TELL) not in await ledger.schedule.due_lanes()
        other = await an_order(ledger, "other")
        await ledger.webhooks.queue({other.order_id: "other.example:443"})
        alone = await claim(ledger)
        assert [webhook.host for webhook in alone.webhooks] == ["other.example:443"]
        await settle(ledger, alone, Outcome.DELIVERED, reached=True)
        await harness.advance(HOUR + MINUTE)
        probe = await claim(ledger)
        assert len(probe.webhooks) == 1
        await settle(ledger, probe, Outcome.FAILED, reached=True, trouble="HTTP 500", wait=HOUR)
        assert len((await claim(ledger)).webhooks) == 4

    harness.run(work)


def test_attempts_under_way_together_count_as_one_fault(harness: LedgerHarness) -> None:
    """A moment without answers, with ten attempts under way, holds nothing: one is tried, and then all."""

    async def work(ledger: Ledger) -> None:
        orders = [await an_order(ledger, f"crm-{index}") for index in range(10)]
        await ledger.webhooks.queue({order.order_id: HOST for order in orders})
        due = await claim(ledger)
        for webhook in due.webhooks:
            await ledger.webhooks.settle(due, [Settled(webhook, Outcome.FAILED, reached=False)])
        probe = await claim(ledger)
        assert len(probe.webhooks) == 1
        await settle(ledger, probe, Outcome.DELIVERED, reached=True)
        assert len((await claim(ledger)).webhooks) == 9

    harness.run(work)


def test_hold_grows_to_five_minutes(harness: LedgerHarness) -> None:
    """However long a host is away, it is tried every five minutes."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger)
        await ledger.webhooks.queue({order.order_id: HOST})
        for _ in range(30):
            await harness.advance(timedelta(minutes=5, seconds=1))
            await settle(ledger, await claim(ledger), Outcome.FAILED, reached=False, wait=timedelta())
        await harness.advance(timedelta(minutes=4))
        assert await nothing_is_due(ledger)

    harness.run(work)


def test_given_up_raises_one_alarm_for_a_host(harness: LedgerHarness) -> None:
    """Two orders to one host: one alarm that happened twice, and nothing is tried any more."""

    async def work(ledger: Ledger) -> None:
        orders = [await an_order(ledger, f"crm-{index}") for index in range(2)]
        await ledger.webhooks.queue({order.order_id: HOST for order in orders})
        await settle(ledger, await claim(ledger), Outcome.GIVEN_UP, reached=True, trouble="HTTP 410")
        assert await nothing_is_due(ledger)
        (alarm,) = await ledger.alarms.active()
        assert (alarm["what"], alarm["subject"]) == ("notification_given_up", f"default at {HOST}")
        assert alarm["times"] == 2
        assert "HTTP 410" in alarm["detail"]
        assert await messages(ledger, orders[0].order_id) == [(1, False, 1, True)]
        assert await ledger.webhooks.undelivered([order.order_id for order in orders]) == {
            order.order_id for order in orders
        }

    harness.run(work)


def test_a_person_has_what_was_given_up_sent_again(harness: LedgerHarness) -> None:
    """With a series of its own; also what waits, whatever its host."""

    async def work(ledger: Ledger) -> None:
        gone, waiting = await an_order(ledger, "gone"), await an_order(ledger, "waiting")
        await ledger.webhooks.queue({gone.order_id: HOST})
        await settle(ledger, await claim(ledger), Outcome.GIVEN_UP, reached=True, trouble="HTTP 410")
        await ledger.webhooks.queue({waiting.order_id: HOST})
        for _ in range(3):
            await harness.advance(timedelta(hours=2))
            await settle(ledger, await claim(ledger), Outcome.FAILED, reached=False, wait=HOUR)
        assert set(await ledger.schedule.waiting_at(BANDWIDTH, Lane.TELL, after=None, limit=10)) >= {
            gone.order_id,
            waiting.order_id,
        }
        await ledger.webhooks.send_now([gone.order_id, waiting.order_id])
        assert await ledger.webhooks.queue({gone.order_id: HOST, waiting.order_id: HOST})
        # The host had faults, so one is tried first.
        await settle(ledger, await claim(ledger), Outcome.DELIVERED, reached=True)
        await settle(ledger, await claim(ledger), Outcome.DELIVERED, reached=True)
        assert await nothing_is_due(ledger)
        for order in (gone, waiting):
            assert [delivered for _, delivered, _, _ in await messages(ledger, order.order_id)] == [True]

    harness.run(work)


def test_given_up_document_is_void_when_a_later_one_was_delivered(harness: LedgerHarness) -> None:
    """Each is the whole order, so the later one says more: the earlier is never sent after it."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger)
        await ledger.webhooks.queue({order.order_id: HOST})
        await settle(ledger, await claim(ledger), Outcome.GIVEN_UP, reached=True, trouble="HTTP 410")
        order = await a_change(ledger, order, Acknowledged(CarrierOrderId("c-1")))
        assert [message.version for message in await ledger.outbox.pending([order.order_id], "url")] == [1, 2]
        assert await ledger.webhooks.queue({order.order_id: HOST})
        await settle(ledger, await claim(ledger), Outcome.DELIVERED, reached=True)
        assert await ledger.webhooks.undelivered([order.order_id]) == frozenset()
        assert await ledger.outbox.pending([order.order_id], "url") == []
        await ledger.webhooks.send_now([order.order_id])
        assert not await ledger.webhooks.queue({order.order_id: HOST})
        assert await messages(ledger, order.order_id) == [(1, False, 1, True), (2, True, 1, False)]
        assert order.order_id not in await ledger.schedule.waiting_at(BANDWIDTH, Lane.TELL, after=None, limit=10)

    harness.run(work)


def test_documents_that_nobody_queued_are_owed_again(harness: LedgerHarness) -> None:
    """A worker of 0.1.0 deletes the work item without queueing them."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger)
        claims = await ledger.schedule.claim(BANDWIDTH, Lane.TELL, limit=10, lease=MINUTE)
        assert claims is not None
        await ledger.outbox.mark_delivered(claims, claims.claims, [], "task")
        assert await ledger.webhooks.owe_lost() == 1
        assert await ledger.webhooks.owe_lost() == 0
        assert await ledger.schedule.claim(BANDWIDTH, Lane.TELL, limit=10, lease=MINUTE) is not None
        await ledger.webhooks.queue({order.order_id: HOST})
        assert await ledger.webhooks.owe_lost() == 0

    harness.run(work)


def test_hosts_without_deliveries_are_forgotten(harness: LedgerHarness) -> None:
    """Not those that something waits for."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger)
        await ledger.webhooks.queue({order.order_id: HOST})
        await ledger.webhooks.forget_hosts()
        due = await claim(ledger)
        await settle(ledger, due, Outcome.DELIVERED, reached=True)
        await ledger.webhooks.forget_hosts()
        later = await an_order(ledger, "later")
        assert await ledger.webhooks.queue({later.order_id: HOST})
        assert len((await claim(ledger)).webhooks) == 1

    harness.run(work)


def test_story_says_what_became_of_each_document(harness: LedgerHarness) -> None:
    """By task and by URL, with the next attempt."""

    async def work(ledger: Ledger) -> None:
        order = await an_order(ledger, channels=("task", "url"))
        await ledger.webhooks.queue({order.order_id: HOST})
        await settle(ledger, await claim(ledger), Outcome.FAILED, reached=True, trouble="HTTP 500", wait=HOUR)
        by_task, by_url = (await ledger.history.story(order.order_id)).messages
        assert (by_task["channel"], by_task["tries"], by_task["next_at"]) == ("task", 0, None)
        assert (by_url["channel"], by_url["state"], by_url["tries"], by_url["trouble"]) == (
            "url",
            "SUBMITTING",
            1,
            "HTTP 500",
        )
        assert by_url["next_at"] > await ledger.now() + timedelta(minutes=50)
        assert not by_url["in_hand"]

    harness.run(work)
