"""What a stint tells the others, and how often, on a clock that only moves when it is told to."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from number_orders.fulfilment.lanes.presence import LanePresence
from number_orders.orders.model import CarrierName, Lane
from number_orders.simulation.clock import VirtualLoop

WHERE = (CarrierName("bandwidth"), Lane.ASK)


class Said:
    """A bell and places that note what they are told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        self.words += ["ring" for where in lanes if where == WHERE]

    def heard(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("heard", carrier, lane)

    def attended(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("attended", carrier, lane)

    def suffice(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("suffice", carrier, lane)

    def call(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("call", carrier, lane)

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        yield True

    def _note(self, word: str, carrier: CarrierName, lane: Lane) -> None:
        assert (carrier, lane) == WHERE
        self.words.append(word)


def said(*moments: tuple[float, str]) -> list[str]:
    """Return what comes of saying these things at these moments."""
    others = Said()
    attendance = LanePresence(others, others, *WHERE)
    loop = VirtualLoop()
    try:
        for at_s, word in moments:
            loop.call_at(loop.time() + at_s, getattr(attendance, word))
        loop.call_at(loop.time() + moments[-1][0], loop.stop)
        loop.run_forever()
    finally:
        loop.close()
    return others.words


def test_who_stays_says_so_once_a_second() -> None:
    assert said((0.0, "stays"), (0.1, "stays"), (0.9, "stays"), (1.1, "stays")) == ["suffice", "attended"] * 2


def test_who_calls_lets_another_in_and_rings_for_it() -> None:
    assert said((0.0, "calls"), (0.5, "calls")) == ["call", "heard", "ring"]


def test_who_leaves_says_so_at_once_and_whoever_stays_after_all_says_that() -> None:
    assert said((0.0, "stays"), (0.1, "leaves"), (0.2, "stays")) == [
        *("suffice", "attended"),
        "heard",
        *("suffice", "attended"),
    ]
