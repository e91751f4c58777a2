"""Documents reach a real HTTPS server, signed and in order, whatever else is wrong; what is given up is told."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import pytest

from number_orders.fulfilment.lanes import runner
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.fulfilment.webhooks.client import WebhookClient, webhook_tls
from number_orders.fulfilment.webhooks.delivery import WebhookPolicy
from number_orders.ledger.webhooks import WEBHOOKS
from number_orders.orders.model import Lane
from tests.hook_receiver import (
    CA,
    DRIPS_BODY,
    HANGS,
    OK,
    HookReceiver,
    Reply,
    running_receiver,
    status,
)
from tests.integration.fulfilment.practice import Practice, accept, an_order, run, work, work_until_idle

OLD: Final = "whsec_b2xkIHNlY3JldCBvZiB0aGUgdGVzdHM="
NEW: Final = "whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdHM="
TRACE_PARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ON: Final = ["ACCEPTED", "OPEN", "COMPLETED"]


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    with running_receiver() as running:
        yield running


@asynccontextmanager
async def opened(
    practice: Practice, receiver: HookReceiver, *, secrets: tuple[str, ...] = (OLD,), timeout_s: float = 60.0
) -> AsyncIterator[Services]:
    """Open services that send to the receiver, of a producer with these secrets."""
    loopback = ipaddress.ip_network("127.0.0.0/8")
    practice.address_rules = AddressRules(ports=frozenset(range(1, 65536)), networks=(loopback,))
    client = WebhookClient(practice.address_rules, tls=webhook_tls(CA), timeout_s=timeout_s)
    practice.webhook_sender = client
    try:
        async with practice.opened() as services:
            for secret in secrets:
                await services.ledger.webhook_secrets.add("default", secret, by="ana")
            yield services
    finally:
        await client.aclose()


def to(receiver: HookReceiver, path: str = "/hooks", *, on: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """Return `notify` with a URL of the receiver."""
    return {"notify": {"url": receiver.url(path), "on": on or ON, **more}}


async def deliver(services: Services) -> None:
    """Queue and send what is due."""
    await work(services, Lane.TELL)
    await services.orders.work(WEBHOOKS, Lane.TELL)


def states(receiver: HookReceiver, key: str, secret: str = OLD) -> list[str]:
    """Return the states of the documents of one order, verified, as they arrived."""
    documents = [request.verified(secret) for request in receiver.received]
    return [document["state"] for document in documents if document["key"] == key]


def undelivered(practice: Practice) -> list[dict[str, Any]]:
    """Return what is known of the documents that have not arrived."""
    return practice.rows(
        "SELECT tries, trouble, gave_up_at IS NOT NULL AS gave_up FROM tellings WHERE told_at IS NULL ORDER BY version"
    )


def wait_s(practice: Practice) -> float:
    """Return how long the one order that is queued waits from now on."""
    (row,) = practice.rows("SELECT extract(epoch FROM not_before - now()) AS wait_s FROM webhook_deliveries")
    return float(row["wait_s"])


@dataclass(frozen=True)
class Wait:
    """How long a document waits after its attempt: not exactly, for nobody knows when exactly that was."""

    least_s: float
    most_s: float

    @classmethod
    def since(cls, began_at: datetime, practice: Practice) -> "Wait":
        """Return the wait after an attempt that was made between this moment and now."""
        (row,) = practice.rows(
            "SELECT extract(epoch FROM not_before - %(began_at)s) AS most_s FROM webhook_deliveries", began_at=began_at
        )
        return cls(wait_s(practice), float(row["most_s"]))


def test_every_change_arrives_signed_whole_and_in_order(practice: Practice, receiver: HookReceiver) -> None:
    async def ordering() -> None:
        async with opened(practice, receiver) as services:
            (order_id,) = await accept(services, an_order("one", **to(receiver)))
            await deliver(services)
            await work_until_idle(practice, services)
            await services.orders.work(WEBHOOKS, Lane.TELL)
            assert states(receiver, "one") == ON
            last = receiver.received[-1].verified(OLD)
            assert last == (await services.orders.documents([order_id]))[0]
            assert receiver.received[0].headers["content-type"].startswith("application/json")
            assert practice.rows("SELECT FROM webhook_deliveries") == []
            await services.orders.forget()
            assert practice.rows("SELECT FROM webhook_hosts") == []

    run(ordering())


@pytest.mark.parametrize(("given", "sent"), [(TRACE_PARENT, TRACE_PARENT), ("no trace", None), (None, None)])
def test_service_without_traces_passes_its_producers_on(
    practice: Practice, receiver: HookReceiver, given: str | None, sent: str | None
) -> None:
    """It is stored with the order, also where it repeats, and goes with every document."""

    async def order() -> None:
        async with opened(practice, receiver) as services:
            raw = an_order("one", **to(receiver, on=["ACCEPTED"]))
            await services.intake.submit(raw, producer="default", trace_parent=given)
            await services.intake.submit(raw, producer="default", trace_parent=TRACE_PARENT.replace("4bf9", "0000"))
            await deliver(services)

    run(order())
    assert [request.headers.get("traceparent") for request in receiver.received] == [sent]
    assert practice.rows("SELECT trace_parent FROM orders") == [{"trace_parent": sent}]


def test_both_secrets_sign_during_a_change(practice: Practice, receiver: HookReceiver) -> None:
    """The receiver may use either; after the old one is removed, only the new."""

    async def changing() -> None:
        async with opened(practice, receiver, secrets=(OLD, NEW)) as services:
            await accept(services, an_order("one", **to(receiver)))
            await deliver(services)
            assert states(receiver, "one", OLD) == states(receiver, "one", NEW) == ["ACCEPTED"]
            (old, _) = await services.ledger.webhook_secrets.known("default")
            await services.ledger.webhook_secrets.remove("default", old.secret_id, by="ana")
            await accept(services, an_order("two", **to(receiver)))
            await deliver(services)
            assert receiver.received[-1].verified(NEW)["key"] == "two"
            assert len(receiver.received[-1].headers["webhook-signature"].split()) == 1

    run(changing())


def test_removed_secret_holds_documents_until_there_is_another(practice: Practice, receiver: HookReceiver) -> None:
    """Nothing is sent unsigned, and nothing is lost."""

    async def without() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("one", **to(receiver)))
            (known,) = await services.ledger.webhook_secrets.known("default")
            await services.ledger.webhook_secrets.remove("default", known.secret_id, by="ana")
            await deliver(services)
            assert receiver.received == []
            assert "webhook-secrets default add" in undelivered(practice)[0]["trouble"]
            await services.ledger.webhook_secrets.add("default", NEW, by="ana")
            practice.pass_time(minutes=1)
            await services.orders.work(WEBHOOKS, Lane.TELL)
            assert states(receiver, "one", NEW) == ["ACCEPTED"]

    run(without())


@pytest.mark.parametrize("reply", [status(500), status(404), status(302, "Location: /there"), status(401), status(304)])
def test_what_is_no_success_is_tried_again_under_the_same_id(
    practice: Practice, receiver: HookReceiver, reply: Reply
) -> None:
    """For two days, at growing intervals; then it arrives, and the later changes after it."""
    receiver.answer = lambda _: reply

    async def failing() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("one", **to(receiver)))
            began_at = await services.ledger.now()
            await deliver(services)
            waits = [Wait.since(began_at, practice)]
            for _ in range(12):
                practice.pass_time(seconds=waits[-1].least_s + 1)
                began_at = await services.ledger.now()
                await deliver(services)
                waits.append(Wait.since(began_at, practice))
            assert all(wait.most_s > 4 * 0.7 and wait.least_s < 6 * 3600 * 1.3 for wait in waits)
            assert waits[0].least_s < 7
            assert all(after.most_s > before.least_s * 1.5 for before, after in pairwise(waits[:7]))
            assert max(wait.least_s for wait in waits) > 4 * 3600
            assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
            assert len(receiver.received) == 13
            receiver.answer = lambda _: OK
            await work(services)
            practice.pass_time(hours=8)
            await work_until_idle(practice, services)
            for _ in range(3):
                await services.orders.work(WEBHOOKS, Lane.TELL)
            assert states(receiver, "one")[13:] == ON
            assert practice.alarms() == []

    run(failing())


def test_given_up_after_three_days_and_sent_again_by_hand(practice: Practice, receiver: HookReceiver) -> None:
    """The last attempt is when the three days are over; then there is an alarm, and `retry --lane tell`."""
    receiver.answer = lambda _: status(503)

    async def given_up() -> None:
        async with opened(practice, receiver) as services:
            (order_id,) = await accept(services, an_order("one", **to(receiver)))
            await deliver(services)
            passed, tries = timedelta(), 1
            while not undelivered(practice)[0]["gave_up"]:
                wait = timedelta(seconds=wait_s(practice) + 0.5)
                practice.pass_time(seconds=wait.total_seconds())
                passed, tries = passed + wait, tries + 1
                await deliver(services)
                assert tries < 60
            assert timedelta(hours=71, minutes=45) < passed < timedelta(hours=72, minutes=5)
            assert 15 < tries < 40
            assert practice.alarms() == [("notification_given_up", 1)]
            assert practice.rows("SELECT FROM webhook_deliveries") == []
            practice.pass_time(days=1)
            sent = len(receiver.received)
            await deliver(services)
            assert len(receiver.received) == sent
            receiver.answer = lambda _: OK
            (outcome,) = await services.orders.retry([order_id], "ana", None, Lane.TELL)
            assert outcome.lanes == (Lane.TELL,)
            await deliver(services)
            assert states(receiver, "one")[sent:] == ["ACCEPTED"]
            assert {request.headers["webhook-id"] for request in receiver.received} == {
                receiver.received[0].headers["webhook-id"]
            }

    run(given_up())


def test_later_change_goes_on_after_one_was_given_up(practice: Practice, receiver: HookReceiver) -> None:
    """It has its own three days. The earlier one is not wanted any more, even if somebody asks for it."""

    async def going_on() -> None:
        async with opened(practice, receiver) as services:
            receiver.answer = lambda _: status(410)
            (order_id,) = await accept(services, an_order("one", **to(receiver)))
            await deliver(services)
            receiver.answer = lambda _: OK
            await work_until_idle(practice, services)
            for _ in range(2):
                await services.orders.work(WEBHOOKS, Lane.TELL)
            assert states(receiver, "one") == ON
            await services.orders.retry([order_id], "ana", None, Lane.TELL)
            await deliver(services)
            assert states(receiver, "one")[3:] == ["COMPLETED"]  # the order as it is now, once more

    run(going_on())


def test_gone_ends_the_attempts_at_once(practice: Practice, receiver: HookReceiver) -> None:
    """410: nobody wants it. One alarm for all orders of this host."""
    receiver.answer = lambda _: status(410)

    async def gone() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, *(an_order(f"crm-{index}", **to(receiver)) for index in range(3)))
            await deliver(services)
            assert len(receiver.received) == 3
            assert practice.alarms() == [("notification_given_up", 3)]
            practice.pass_time(days=1)
            await deliver(services)
            assert len(receiver.received) == 3
            (alarm,) = practice.rows("SELECT subject, detail FROM alarms")
            assert alarm["subject"] == f"default at 127.0.0.1:{receiver.port}"
            assert "HTTP 410" in alarm["detail"]

    run(gone())


@pytest.mark.parametrize(("asked", "least_s", "most_s"), [("120", 115, 125), ("999999", 3500, 3601), ("soon", 3, 8)])
def test_retry_after_is_kept_up_to_an_hour(
    practice: Practice, receiver: HookReceiver, asked: str, least_s: float, most_s: float
) -> None:
    receiver.answer = lambda _: status(429, f"Retry-After: {asked}")

    async def waiting() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("one", **to(receiver)))
            began_at = await services.ledger.now()
            await deliver(services)
            wait = Wait.since(began_at, practice)
            assert least_s < wait.most_s
            assert wait.least_s < most_s

    run(waiting())


def test_dead_url_delays_neither_others_nor_tasks(
    practice: Practice, receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One producer's host hangs for all its thirty orders; another's documents and the tasks arrive meanwhile."""
    monkeypatch.setattr(runner, "LANE_RUN_S", 600.0)  # one run claims as long as this test lasts
    with running_receiver(lambda _: HANGS) as dead:

        async def two() -> None:
            async with opened(practice, receiver, timeout_s=600) as services:
                await accept(
                    services,
                    *(an_order(f"dead-{index}", **to(dead)) for index in range(30)),
                    *(an_order(f"live-{index}", **to(receiver)) for index in range(30)),
                    an_order("both", **to(dead, task="crm.moved", queue="crm")),
                )
                await work(services, Lane.TELL)
                assert [document["key"] for document in practice.notifier.delivered] == ["both"]
                run_of_urls = asyncio.create_task(services.orders.work(WEBHOOKS, Lane.TELL))
                await until(lambda: len(receiver.received) == 30)
                assert not run_of_urls.done()
                assert len(dead.received) <= 10
                # While the dead host's places are taken, new documents go on by task and to the other host.
                await work(services, Lane.SUBMIT, Lane.TELL)
                assert [document["state"] for document in practice.notifier.delivered] == ["ACCEPTED", "OPEN"]
                await until(lambda: len(receiver.received) == 60)
                assert not run_of_urls.done()
                run_of_urls.cancel()

        run(two())


def test_host_that_gives_no_answer_is_asked_ever_more_rarely(practice: Practice, receiver: HookReceiver) -> None:
    """A hundred orders wait for it; each minute that passes costs one attempt or two, not a hundred."""
    with running_receiver(lambda _: HANGS) as dead:

        async def rarely() -> None:
            practice.webhook_policy = replace(WebhookPolicy(), timeout=timedelta(seconds=0.3))
            async with opened(practice, receiver, timeout_s=0.3) as services:
                await accept(services, *(an_order(f"dead-{index}", **to(dead)) for index in range(100)))
                await deliver(services)
                first = len(dead.received)
                assert first <= 20
                for _ in range(10):
                    practice.pass_time(minutes=1)
                    await services.orders.work(WEBHOOKS, Lane.TELL)
                assert len(dead.received) - first <= 20
                dead.answer = lambda _: OK
                practice.pass_time(minutes=6)
                assert isinstance(practice.webhook_sender, WebhookClient)
                practice.webhook_sender._timeout_s = 60
                for _ in range(30):
                    await services.orders.work(WEBHOOKS, Lane.TELL)
                    if not undelivered(practice):
                        break
                    practice.pass_time(hours=1)
                assert len({request.verified(OLD)["key"] for request in dead.received}) == 100

        run(rarely())


def test_slow_body_after_a_success_is_a_success(practice: Practice, receiver: HookReceiver) -> None:
    receiver.answer = lambda _: DRIPS_BODY

    async def dripping() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("one", **to(receiver)))
            await deliver(services)
            assert undelivered(practice) == []

    run(dripping())


def test_worker_that_dies_after_delivering_leaves_a_repetition(practice: Practice, receiver: HookReceiver) -> None:
    """Killed before the delivery is recorded: when its lease has ended, another sends the document again, same id."""

    async def dying() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("one", **to(receiver)))
            await work(services, Lane.TELL)
            dies = asyncio.Event()

            async def hang(*_: object) -> None:
                dies.set()
                await asyncio.sleep(3600)

            ledger = services.ledger.webhooks
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ledger, "settle", hang)
                killed = asyncio.create_task(services.orders.work(WEBHOOKS, Lane.TELL))
                await dies.wait()
                killed.cancel()
            await services.orders.work(WEBHOOKS, Lane.TELL)
            assert len(receiver.received) == 1  # its lease runs
            practice.pass_time(minutes=1)
            await services.orders.work(WEBHOOKS, Lane.TELL)
            assert len(receiver.received) == 2
            first, second = receiver.received
            assert first.headers["webhook-id"] == second.headers["webhook-id"]
            assert first.body == second.body
            assert undelivered(practice) == []

    run(dying())


def test_two_workers_send_each_document_once(practice: Practice, receiver: HookReceiver) -> None:
    async def both() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, *(an_order(f"crm-{index}", **to(receiver)) for index in range(60)))
            await work(services, Lane.TELL)
            await asyncio.gather(*(services.orders.work(WEBHOOKS, Lane.TELL) for _ in range(4)))
            ids = [request.headers["webhook-id"] for request in receiver.received]
            assert len(ids) == len(set(ids)) == 60

    run(both())


def test_document_that_breaks_us_stops_no_other(practice: Practice, receiver: HookReceiver) -> None:
    """A secret that cannot be read, say: its documents wait, with the reason, and the others arrive."""

    async def broken() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("bad", **to(receiver)))
            practice.db.execute("UPDATE webhook_secrets SET producer = 'other'")
            await services.ledger.webhook_secrets.add("default", "whsec_x", by="ana")
            ticket = await services.intake.submit(an_order("good", **to(receiver)), producer="other")
            await deliver(services)
            assert states(receiver, "good") == ["ACCEPTED"]
            assert ticket.new
            (row,) = undelivered(practice)
            assert row["trouble"].startswith("a fault of this service")

    run(broken())


def test_document_that_an_older_worker_has_dropped_arrives(practice: Practice, receiver: HookReceiver) -> None:
    """A worker of 0.1.0 deletes the work item and knows no URLs; the watch owes it again."""

    async def dropped() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("one", **to(receiver)))
            practice.db.execute("DELETE FROM owed WHERE lane = 'tell'")
            await deliver(services)
            assert receiver.received == []
            await services.orders.watch()
            await deliver(services)
            assert states(receiver, "one") == ["ACCEPTED"]

    run(dropped())


def test_signature_has_the_ledgers_time(practice: Practice, receiver: HookReceiver) -> None:
    """The standard allows five minutes; a worker's own clock may be further off."""

    async def timed() -> None:
        async with opened(practice, receiver) as services:
            await accept(services, an_order("one", **to(receiver)))
            await deliver(services)
            sent_at = int(receiver.received[0].headers["webhook-timestamp"])
            assert abs(sent_at - (await services.ledger.now()).timestamp()) < 30

    run(timed())


async def until(is_so: Callable[[], bool], *, within_s: float = 120) -> None:
    """Wait for something."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110  what is waited for happens in the receiver's thread
            await asyncio.sleep(0.01)
