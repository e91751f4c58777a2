"""Events of an order: as a list, and as a stream that can be resumed and ends with the order."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from number_orders.receiver.api import events
from number_orders.receiver.parts import Limits
from tests.integration.fulfilment.practice import Practice
from tests.integration.receiver.conftest import CRM, SHOP, Running, running_receiver
from tests.integration.receiver.test_orders import names, submit
from tests.processes import eventually

Message = dict[str, str]


@contextmanager
def stream(client: httpx.Client, order_id: str, **headers: str) -> Iterator[Iterator[Message]]:
    """Open a stream; yield its messages, comments under the name `comment`."""
    path, accept = f"/v1/orders/{order_id}/events", {"Accept": "text/event-stream", **headers}
    with client.stream("GET", path, headers=accept) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer.iter_lines())


def messages(lines: Iterator[str]) -> Iterator[Message]:
    message: Message = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            message[name or "comment"] = value.removeprefix(" ")
        elif message:
            yield message
            message = {}


def data(message: Message) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(message["data"])
    return document


def test_events_as_a_list(crm: httpx.Client, receiver: Running) -> None:
    order_id = submit(crm)["order_id"]
    receiver.work()
    told = crm.get(f"/v1/orders/{order_id}/events").json()["events"]
    assert [event["version"] for event in told] == list(range(len(told)))
    assert (told[0]["event"], told[0]["text"], told[0]["state"]) == ("OrderAccepted", "accepted", "ACCEPTED")
    assert (told[-1]["event"], told[-1]["state"], told[-1]["late"]) == ("Filled", "COMPLETED", False)
    for newer in (
        crm.get(f"/v1/orders/{order_id}/events", params={"after": 0}),
        crm.get(f"/v1/orders/{order_id}/events", headers={"Last-Event-ID": "0"}),
    ):
        assert newer.json()["events"] == told[1:]
    bad = crm.get(f"/v1/orders/{order_id}/events", headers={"Last-Event-ID": "x"})
    assert (bad.status_code, names(bad)) == (422, "bad-request")


def test_stream_follows_an_order_to_its_end(crm: httpx.Client, receiver: Running) -> None:
    """Each event as it happens, its version as its id; then the document, and the stream is over."""
    order_id = submit(crm)["order_id"]
    with stream(crm, order_id) as arriving:
        assert next(arriving)["retry"]
        first = next(message for message in arriving if "data" in message)
        assert (first["id"], data(first)["event"]) == ("0", "OrderAccepted")
        threading.Thread(target=receiver.work).start()
        rest = list(arriving)
    told = crm.get(f"/v1/orders/{order_id}/events").json()["events"]
    *steps, end = [message for message in rest if "data" in message]
    assert [data(message) for message in steps] == told[1:]
    assert [message["id"] for message in steps] == [str(event["version"]) for event in told[1:]]
    assert end["event"] == "end"
    assert data(end) == crm.get(f"/v1/orders/{order_id}").json()


def test_stream_goes_on_after_the_last_event_that_was_read(crm: httpx.Client, receiver: Running) -> None:
    order_id = submit(crm)["order_id"]
    receiver.work()
    with stream(crm, order_id, **{"Last-Event-ID": "1"}) as arriving:
        resumed = [message for message in arriving if "data" in message]
    assert [message.get("id") for message in resumed] == ["2", *map(str, range(3, len(resumed) + 1)), None]
    with stream(crm, order_id, **{"Last-Event-ID": resumed[-2]["id"]}) as arriving:
        (only,) = [message for message in arriving if "data" in message]
    assert only["event"] == "end"
    with stream(crm, order_id, **{"Last-Event-ID": "999"}) as arriving:  # of a ledger that fell back in time
        assert next(message for message in arriving if "data" in message)["id"] == "0"


@pytest.mark.parametrize("purged", [False, True])
def test_an_archived_order_keeps_its_events_and_its_stream_ends(
    crm: httpx.Client, receiver: Running, *, purged: bool
) -> None:
    """A purged order has none: its stream is only the end."""
    order_id = submit(crm)["order_id"]
    receiver.work()
    before = crm.get(f"/v1/orders/{order_id}/events").json()["events"]

    async def archive() -> None:
        async with receiver.practice.opened() as services:
            receiver.practice.pass_time(days=60)
            await services.orders.forget()
            assert await services.ledger.archive.copy(timedelta(days=31)) == 1
            receiver.practice.pass_time(minutes=11)
            assert await services.ledger.archive.remove() == (1, 1)
            assert await services.ledger.archive.purge(timedelta(days=31 if purged else 3650)) == int(purged)

    asyncio.run(archive())
    after = crm.get(f"/v1/orders/{order_id}/events").json()["events"]
    assert [event["event"] for event in after] == ([] if purged else [event["event"] for event in before])
    with stream(crm, order_id) as arriving:
        *steps, end = [message for message in arriving if "data" in message]
    assert [data(message) for message in steps] == after
    assert (end["event"], data(end)["order_id"]) == ("end", order_id)


def test_quiet_stream_sends_comments(crm: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that proxies do not take it for dead; without a statement of its own each time."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    comment = {"comment": "still open"}
    with stream(crm, submit(crm)["order_id"]) as arriving:
        assert next(arriving)["retry"]
        first = next(message for message in arriving if message != comment)  # on a slow machine comments come before it
        assert first["id"] == "0"
        assert next(arriving) == comment
        assert next(arriving) == comment


def test_long_stream_ends_and_can_be_resumed(crm: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was withdrawn meanwhile opens no other."""
    order_id = submit(crm)["order_id"]
    seen: list[str | None] = []
    for lasts_s in (0.3, 3.0, 20.0):  # on a slow machine a stream may end before its first event
        monkeypatch.setattr(events, "STREAM_S", lasts_s)
        with stream(crm, order_id) as arriving:
            seen = [message.get("id") for message in arriving if "comment" not in message]
        if seen != [None]:
            break
    assert seen == [None, "0"]


def test_stop_ends_streams(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream would never end by itself; the process stops all the same, before its time for requests is over."""
    monkeypatch.setattr("number_orders.receiver.server.STOP_WITHIN_S", 600)
    with (
        running_receiver(practice) as receiver,
        receiver.client(**CRM) as client,
        stream(client, submit(client)["order_id"]) as arriving,
    ):
        assert next(arriving)["retry"]
        next(arriving)
        receiver.server.should_exit = True
        assert list(arriving) == []
        receiver.thread.join(60)
        assert not receiver.thread.is_alive()


def test_one_statement_serves_all_streams(practice: Practice) -> None:
    """A hundred streams ask as often as one."""
    with running_receiver(practice) as receiver, receiver.client(**CRM) as client:
        orders = [submit(client, f"crm-{n}")["order_id"] for n in range(20)]
        calls: list[int] = []
        streams = receiver.server._app.state.receiver.streams
        asked = streams._news

        async def counted(seen: Any) -> Any:
            calls.append(len(seen))
            return await asked(seen)

        streams._news = counted
        ready, seen = threading.Barrier(21), threading.Event()

        def follow(order_id: str) -> None:
            with receiver.client(**CRM) as own, stream(own, order_id) as arriving:
                next(arriving)
                next(arriving)
                ready.wait(60)
                seen.wait(60)

        threads = [threading.Thread(target=follow, args=(order_id,)) for order_id in orders]
        for thread in threads:
            thread.start()
        ready.wait(60)
        before = len(calls)
        for _ in eventually():
            if len(calls) > before:
                break
        asked_for_all = calls[before:]
        seen.set()
        for thread in threads:
            thread.join(60)
        assert set(asked_for_all) == {20}, "a statement does not ask for all streams"


def test_one_producer_leaves_streams_to_others(practice: Practice) -> None:
    limits = Limits(streams_max=9, streams_per_caller=1)
    with running_receiver(practice, limits) as receiver, receiver.client(**CRM) as crm, receiver.client(**SHOP) as shop:
        order_id, others = submit(crm)["order_id"], submit(shop)["order_id"]
        with stream(crm, order_id) as arriving:
            next(arriving)
            next(arriving)
            second = crm.get(f"/v1/orders/{order_id}/events", headers={"Accept": "text/event-stream"})
            assert (second.status_code, names(second)) == (429, "too-many-requests")
            assert second.json()["detail"].startswith("crm has as many streams as it may")
            assert int(second.headers["retry-after"]) > 0
            with stream(shop, others) as arriving_there:
                next(arriving_there)
                next(arriving_there)


def test_too_many_streams_are_refused(practice: Practice) -> None:
    with running_receiver(practice, Limits(streams_max=1)) as receiver, receiver.client(**CRM) as client:
        order_id = submit(client)["order_id"]
        with stream(client, order_id) as arriving:
            next(arriving)
            next(arriving)
            second = client.get(f"/v1/orders/{order_id}/events", headers={"Accept": "text/event-stream"})
            assert (second.status_code, names(second)) == (429, "too-many-requests")
            assert int(second.headers["retry-after"]) > 0
            assert client.get(f"/v1/orders/{order_id}/events").status_code == 200
