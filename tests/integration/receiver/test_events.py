"""Events of an order: as a list, and as a stream that can be resumed and ends with the order."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from number_orders.receiver.api import events
from number_orders.receiver.parts import Limits
from tests.integration.fulfilment.practice import Practice
from tests.integration.receiver.conftest import CRM, Running, running_receiver
from tests.integration.receiver.test_orders import names, submit

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
        first = next(arriving)
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


def test_quiet_stream_sends_comments(crm: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that proxies do not take it for dead; without a statement of its own each time."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    with stream(crm, submit(crm)["order_id"]) as arriving:
        assert [next(arriving).get("id") for _ in range(2)] == [None, "0"]
        assert next(arriving) == {"comment": "still open"}
        assert next(arriving) == {"comment": "still open"}


def test_long_stream_ends_and_can_be_resumed(crm: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was withdrawn meanwhile opens no other."""
    monkeypatch.setattr(events, "STREAM_S", 0.3)
    with stream(crm, submit(crm)["order_id"]) as arriving:
        assert [message.get("id") for message in arriving] == [None, "0"]


def test_stop_ends_streams(receiver: Running) -> None:
    """A stream would never end by itself; the process stops all the same, within moments."""
    with receiver.client(**CRM) as client, stream(client, submit(client)["order_id"]) as arriving:
        assert next(arriving)["retry"]
        next(arriving)
        stopping = threading.Thread(target=receiver.stop)
        stopping.start()
        assert list(arriving) == []
        stopping.join(10)
        assert not stopping.is_alive()


def test_one_statement_serves_all_streams(practice: Practice) -> None:
    """A hundred streams ask as often as one."""
    with running_receiver(practice) as receiver, receiver.client(**CRM) as client:
        orders = [submit(client, f"crm-{n}")["order_id"] for n in range(20)]
        calls: list[int] = []
        streams = receiver.server.config.app.state.receiver.streams  # type: ignore[union-attr]
        asked = streams._news

        async def counted(seen: Any) -> Any:
            calls.append(len(seen))
            return await asked(seen)

        streams._news = counted
        ready = threading.Barrier(21)

        def follow(order_id: str) -> None:
            with receiver.client(**CRM) as own, stream(own, order_id) as arriving:
                next(arriving)
                next(arriving)
                ready.wait(30)

        threads = [threading.Thread(target=follow, args=(order_id,)) for order_id in orders for _ in range(1)]
        for thread in threads:
            thread.start()
        ready.wait(30)
        for thread in threads:
            thread.join(30)
        assert max(calls) > 1
        assert len(calls) < 20, "as many statements as streams"


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
