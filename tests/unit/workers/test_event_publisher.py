"""Events go out together, and a broker that is away costs nobody anything."""

import threading
import time
from collections.abc import Sequence

import pytest

from tests.processes import eventually
from workers.event_publisher import EventPublisher
from workers.order_events import TaskEvent


class Broker:
    """Takes messages, or does not."""

    def __init__(self) -> None:
        self.messages: list[list[TaskEvent]] = []
        self.tried_at: list[float] = []
        self.is_away = False

    def __call__(self, events: Sequence[TaskEvent]) -> None:
        self.tried_at.append(time.monotonic())
        if self.is_away:
            raise OSError("connection refused")
        self.messages.append(list(events))

    def await_messages(self, count: int) -> None:
        for _ in eventually(within_s=60, every_s=0.01):
            if len(self.messages) >= count:
                return


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a publisher that is closed send what waits, also on a slow machine."""
    monkeypatch.setattr("workers.event_publisher._CLOSE_WITHIN_S", 60)


def numbered(*numbers: int) -> list[TaskEvent]:
    return [{"uuid": number} for number in numbers]


def test_events_of_a_moment_are_one_message() -> None:
    sent: list[list[TaskEvent]] = []
    for moment_s in (0.1, 1.0, 10.0):  # on a slow machine five events may take longer than the shortest
        broker = Broker()
        publisher = EventPublisher(broker, gather_s=moment_s)
        for number in range(5):
            publisher.send(numbered(number))
        broker.await_messages(1)
        publisher.close()
        sent = broker.messages
        if len(sent) == 1:
            break
    assert sent == [numbered(0, 1, 2, 3, 4)]


def test_many_events_are_several_messages() -> None:
    broker = Broker()
    publisher = EventPublisher(broker, gather_s=0.01)
    publisher.send(numbered(*range(1200)))
    publisher.close()
    assert [len(message) for message in broker.messages] == [500, 500, 200]


def test_closing_sends_what_waits_at_once() -> None:
    broker = Broker()
    publisher = EventPublisher(broker, gather_s=60)
    publisher.send(numbered(1))
    publisher.close()
    assert broker.messages == [numbered(1)]


def test_without_events_there_is_no_thread_and_nothing_to_close() -> None:
    before = threading.active_count()
    publisher = EventPublisher(Broker())
    publisher.send([])
    assert threading.active_count() == before
    publisher.close()


def test_a_broker_that_is_away_is_left_alone_and_then_shown_what_is_new() -> None:
    broker = Broker()
    broker.is_away = True
    publisher = EventPublisher(broker, gather_s=0.01, silent_s=0.3)
    publisher.send(numbered(1))
    for _ in eventually(within_s=60, every_s=0.01):
        if publisher._is_away:  # it has dropped what waited
            break
    broker.is_away = False
    publisher.send(numbered(2))
    broker.await_messages(1)
    publisher.close()
    assert broker.messages == [numbered(2)]
    first, second = broker.tried_at
    assert second - first >= 0.3


def test_a_frozen_broker_delays_neither_the_sender_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """`send` returns although a publication hangs, memory stays bounded, and `close` waits a moment only."""
    monkeypatch.setattr("workers.event_publisher._CLOSE_WITHIN_S", 0.05)
    thaw, hung = threading.Event(), threading.Event()

    def freeze(events: Sequence[TaskEvent]) -> None:
        hung.set()
        thaw.wait(120)

    publisher = EventPublisher(freeze, gather_s=0.001)
    publisher.send(numbered(0))
    assert hung.wait(60)
    began = time.monotonic()
    for number in range(20_000):
        publisher.send(numbered(number))
    publisher.close()
    assert time.monotonic() - began < 60
    assert len(publisher._waiting) == 10_000
    thaw.set()
