"""Generates everything that the demo's producers send: every carrier, kind and outcome, all from one seed.

Decides how many orders are sent, by which producer, and how. What is ordered from each carrier is in
`bandwidth_orders`, `cm_orders` and `swift_orders`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice
from random import Random
from typing import Any, Final
from uuid import UUID

from number_orders.cli.demo import bandwidth_orders, cm_orders, swift_orders
from number_orders.orders.reference import derive_reference

NOTIFY_TASK: Final = "demo.told"
NOTIFY_QUEUE: Final = "demo.told"
ORDERS_MIN: Final = 80
"""With fewer orders, some types and outcomes would be missing."""

_HTTP_EVERY: Final = 3
"""Of the orders that are sent one by one, every third goes over HTTP; of the batches, every second."""
_BATCH: Final = 10
_BATCHED_SHARE: Final = 0.25
"""Share of Bandwidth's orders that are sent by `orders.submit_many`."""
_CM_SHARE: Final = 0.08
_GIVEN_BACK: Final = 3
"""How many orders are removed again at Bandwidth, which has no taint window."""

_BAD: Final = "demo-bad-"

Body = dict[str, Any]


class Way(StrEnum):
    """How a producer reaches the service, and is told of its orders."""

    QUEUE = "queue"
    """By Celery messages, both ways."""
    HTTP = "http"
    """By the orders API with a token, and by signed webhooks."""


PRODUCERS: Final[Mapping[Way, str]] = {Way.QUEUE: "demo", Way.HTTP: "demo-web"}


@dataclass(frozen=True, slots=True)
class Call:
    """One message to the service, or one request."""

    call_id: str
    task: str
    kwargs: Mapping[str, Any]
    way: Way
    gives_back: tuple[str, ...] = ()
    """Ids of the orders whose numbers this one removes; it is sent when they have ended."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything that the producers send, and what they expect."""

    calls: Sequence[Call]
    single_references: Mapping[str, Sequence[str]]
    """By carrier: the references of the orders that are sent one by one and bring numbers."""
    orders: int
    refusals: int
    """How many orders break a rule."""
    repeats: int
    """How many orders are sent a second time under the same key."""
    removals: int
    """How many orders remove numbers inside the taint window."""

    def over(self, way: Way) -> list[Call]:
        """Return the calls that go this way."""
        return [call for call in self.calls if call.way is way]

    def keys(self, way: Way) -> frozenset[str]:
        """Return the keys of the valid orders that go this way."""
        bodies = (body for call in self.over(way) for body in call.kwargs.get("orders") or [call.kwargs["order"]])
        return frozenset(body["key"] for body in bodies if not body["key"].startswith(_BAD))


class _CallBuilder:
    """Builds calls: gives each order its key, notify and id."""

    def __init__(self, dice: Random, hook_url: str) -> None:
        self._dice = dice
        self._hook_url = hook_url
        self._written = 0

    def complete(self, body: Body, way: Way = Way.QUEUE) -> Body:
        """Return the order with key and notify; every fourth order is also notified of on its way."""
        self._written += 1
        ends = ["COMPLETED", "PARTIAL", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED"]
        on = ["ACCEPTED", "OPEN", *ends] if self._written % 4 == 0 else ends
        by_task = {"task": NOTIFY_TASK, "queue": NOTIFY_QUEUE}
        notify = {**(by_task if way is Way.QUEUE else {"url": self._hook_url}), "on": on}
        return {"key": f"demo-{self._written:04}", "kind": "new_numbers", "notify": notify, **body}

    def submit(self, body: Body, way: Way = Way.QUEUE, *, gives_back: Iterable[Call] = ()) -> Call:
        """Return a call for one order. On the queue its id is chosen by the producer."""
        kwargs = {"order": body, "producer": PRODUCERS[way]}
        return Call(self._id(), "orders.submit", kwargs, way, tuple(call.call_id for call in gives_back))

    def submit_many(self, bodies: Sequence[Body], way: Way) -> Call:
        """Return a call for many orders in one message."""
        return Call(self._id(), "orders.submit_many", {"orders": list(bodies), "producer": PRODUCERS[way]}, way)

    def _id(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128), version=4))


def make_workload(orders: int, seed: int, hook_url: str) -> Workload:
    """Return a workload of `orders` valid orders, and some invalid ones. Webhooks go to `hook_url`."""
    dice = Random(seed)  # noqa: S311  what is ordered is no secret
    builder = _CallBuilder(dice, hook_url)
    from_swift, at_once, later = _from_swift(builder, swift_orders.plan(orders, dice))
    from_cm = [_to("cm", body) for body in cm_orders.bodies(max(8, int(orders * _CM_SHARE)), dice)]
    kept = [_to("bandwidth", body) for body in bandwidth_orders.ordinary(_GIVEN_BACK, dice)]
    plain = orders - len(from_swift) - len(at_once) - len(later) - len(from_cm) - 2 * len(kept)
    from_bandwidth = [_with_partial(_to("bandwidth", body), dice) for body in bandwidth_orders.bodies(plain, dice)]
    dice.shuffle(from_bandwidth)
    batched = int(len(from_bandwidth) * _BATCHED_SHARE)
    one_by_one = zip((*from_bandwidth[batched:], *from_cm), _ways(_HTTP_EVERY), strict=False)
    singles = [builder.submit(builder.complete(body, way), way) for body, way in one_by_one]
    dice.shuffle(singles)
    given = [builder.submit(builder.complete(body)) for body in kept]
    back = [builder.submit(builder.complete(_removal("bandwidth")), gives_back=[call]) for call in given]
    bad = [builder.submit(body, way) for body, way in zip(_bad_orders(), _ways(_HTTP_EVERY), strict=False)]
    again = [call.kwargs["order"] for call in singles if call.way is Way.QUEUE][:3]
    repeats = [builder.submit(dict(body)) for body in again]
    conflict = builder.submit({**again[0], "name": "another order under the same key"})
    batches = [
        builder.submit_many([*(builder.complete(body, way) for body in many), *_bad_orders()[:1]], way)
        for many, way in zip(_batches(from_bandwidth[:batched]), _ways(2), strict=False)
    ]
    brought = [*from_swift[:-1], *at_once, *given, *singles, from_swift[-1]]
    return Workload(
        calls=(*_spread(brought, [*batches, *bad]), *repeats, conflict, *later, *back),
        single_references=_by_carrier([*from_swift, *singles]),
        orders=orders,
        refusals=len(bad) + len(batches) + 1,
        repeats=len(repeats),
        removals=len(at_once) + len(later),
    )


def _ways(every: int) -> Iterator[Way]:
    """Yield HTTP at every `every`th place, endlessly, and the queue at the others."""
    return cycle([Way.HTTP, *[Way.QUEUE] * (every - 1)])


def _batches(bodies: Sequence[Body]) -> Iterator[Sequence[Body]]:
    return (bodies[start : start + _BATCH] for start in range(0, len(bodies), _BATCH))


def _from_swift(builder: _CallBuilder, plan: swift_orders.SwiftPlan) -> tuple[list[Call], list[Call], list[Call]]:
    """Return the calls that bring numbers, the removals sent at once, and those sent when the numbers are there."""
    brought = [builder.submit(builder.complete(_to("swift", body))) for body in plan.brought]
    at_once, later = [], []
    for removal in plan.removals:
        of = [brought[place] for place in removal.of]
        order = of[0].kwargs["order"]
        body = {**_removal("swift"), "when_tainted": removal.when_tainted}
        body |= {"account": order["account"]} if "account" in order else {}
        if removal.at_once:
            at_once.append(builder.submit(builder.complete({**body, "numbers": order["numbers"]})))
        else:
            later.append(builder.submit(builder.complete(body), gives_back=of))
    return brought, at_once, later


def _to(carrier: str, body: Body) -> Body:
    return {"carrier": carrier, **body}


def _removal(carrier: str) -> Body:
    return {"carrier": carrier, "kind": "remove_numbers"}


def _with_partial(body: Body, dice: Random) -> Body:
    return {"allow_partial": dice.random() > 0.1, **body}  # noqa: PLR2004  nine in ten take what there is


def _by_carrier(calls: Sequence[Call]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for call in calls:
        found.setdefault(call.kwargs["order"]["carrier"], []).append(
            derive_reference(PRODUCERS[call.way], call.kwargs["order"]["key"])
        )
    return found


def _spread(many: Sequence[Call], few: Sequence[Call]) -> Iterator[Call]:
    """Spread the few evenly among the many."""
    step = max(1, len(many) // (len(few) + 1))
    rest = iter(few)
    for place, call in enumerate(many, 1):
        yield call
        if place % step == 0:
            yield from islice(rest, 1)
    yield from rest


def _bad_orders() -> list[Body]:
    """Return orders that are refused before a carrier is asked, each for a different reason."""
    good = {"carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}
    wrongs: Sequence[Body] = (
        {"criteria": {"rate_center": "RALEIGH"}},  # of which state?
        {"carrier": "acme"},
        {"numbers": ["+19195550100"]},  # and criteria
        {"quantity": 0},
        {"criteria": None, "quantity": None, "numbers": ["+1919"]},
        {"options": {"colour": "green"}},
        {"kind": "remove_numbers"},
        {"carrier": "cm", "kind": "remove_numbers", "criteria": None, "quantity": None, "numbers": ["+31201234567"]},
        {"quantty": 3},
    )
    return [{"key": f"{_BAD}{i}", **good, **wrong} for i, wrong in enumerate(wrongs, 1)]
