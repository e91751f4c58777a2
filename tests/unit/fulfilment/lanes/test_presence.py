"""A lane run tells other processes about itself once a second at most, on a simulated clock."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from number_orders.fulfilment.lanes.presence import LanePresence
from number_orders.orders.model import CarrierName, Lane
from number_orders.simulation.clock import VirtualLoop

WHERE = (CarrierName("bandwidth"), Lane.ASK)


class Calls:
    """A bell and slots that note what is called on them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        self.names += ["ring" for where in lanes if where == WHERE]

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("reset", carrier, lane)

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("mute", carrier, lane)

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("keep_alone", carrier, lane)

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        self._note("allow_another", carrier, lane)

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        yield True

    def _note(self, name: str, carrier: CarrierName, lane: Lane) -> None:
        assert (carrier, lane) == WHERE
        self.names.append(name)


def calls(*moments: tuple[float, str]) -> list[str]:
    """Call methods of a presence at these moments; return what it calls on bell and slots."""
    noted = Calls()
    presence = LanePresence(noted, noted, *WHERE)
    loop = VirtualLoop()
    try:
        for at_s, method in moments:
            loop.call_at(loop.time() + at_s, getattr(presence, method))
        loop.call_at(loop.time() + moments[-1][0], loop.stop)
        loop.run_forever()
    finally:
        loop.close()
    return noted.names


def test_a_run_announces_itself_once_a_second() -> None:
    announced = calls((0.0, "announce"), (0.1, "announce"), (0.9, "announce"), (1.1, "announce"))
    assert announced == ["keep_alone", "mute"] * 2


def test_calling_another_child_allows_it_and_rings() -> None:
    assert calls((0.0, "call_another"), (0.5, "call_another")) == ["allow_another", "reset", "ring"]


def test_leaving_allows_bells_at_once_and_the_next_announcement_mutes_them_again() -> None:
    assert calls((0.0, "announce"), (0.1, "leave"), (0.2, "announce")) == [
        *("keep_alone", "mute"),
        "reset",
        *("keep_alone", "mute"),
    ]
