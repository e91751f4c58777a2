"""Bells are rung by another thread: a broker that does not answer delays nobody."""

import threading
from collections.abc import Iterable

import pytest

from number_orders.orders.model import CarrierName, Lane
from number_orders.receiver.bell import BackgroundBell

SUBMIT = (CarrierName("bandwidth"), Lane.SUBMIT)
ASK = (CarrierName("bandwidth"), Lane.ASK)


class SlowBell:
    """A bell at a broker that answers when it is told to."""

    def __init__(self) -> None:
        self.rung: list[set[tuple[CarrierName, Lane]]] = []
        self.called = threading.Event()
        self.answer = threading.Event()

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        self.called.set()
        self.answer.wait(60)
        self.rung.append(set(lanes))

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        raise AssertionError("it works no lane")

    mute = reset


def test_ringing_returns_at_once_and_waiting_rings_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("number_orders.receiver.bell.CLOSE_WITHIN_S", 60)
    slow = SlowBell()
    bell = BackgroundBell(slow)
    bell.ring([SUBMIT])
    assert slow.called.wait(60)
    for _ in range(100):
        bell.ring([SUBMIT, ASK])
    assert slow.rung == []
    slow.answer.set()
    bell.close()
    assert slow.rung == [{SUBMIT}, {SUBMIT, ASK}]


def test_nothing_is_rung_for_no_lane() -> None:
    slow = SlowBell()
    bell = BackgroundBell(slow)
    bell.ring([])
    bell.reset(*SUBMIT)
    bell.mute(*SUBMIT)
    bell.close()
    assert slow.rung == []
