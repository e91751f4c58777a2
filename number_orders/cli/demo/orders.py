"""What the demonstration's producer sends: orders to every carrier, of every kind and every outcome, all from one seed.

Decides how much of what is sent and how; what is ordered from each carrier stands in `demo_orders_bandwidth`,
`demo_orders_swift` and `demo_orders_cm`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, Final
from uuid import UUID

from number_orders.cli.demo import bandwidth_orders as bandwidth
from number_orders.cli.demo import cm_orders as cm
from number_orders.cli.demo import swift_orders as swift

TOLD_TASK: Final = "demo.told"
TOLD_QUEUE: Final = "demo.told"
ORDERS_MIN: Final = 80
"""With fewer not every type and outcome would appear."""

_BATCH: Final = 25
_BATCHED_SHARE: Final = 0.25
"""How much of Bandwidth's comes by `orders.submit_many`."""
_CM_SHARE: Final = 0.08
_GIVEN_BACK: Final = 3
"""How many numbers are given back to Bandwidth, which wants no waiting."""

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One message to the service."""

    call_id: str
    task: str
    kwargs: Mapping[str, Any]
    gives_back: tuple[str, ...] = ()
    """The orders whose numbers it names, once these have ended."""


@dataclass(frozen=True, slots=True)
class Script:
    """Everything the producer sends, and what it may expect."""

    calls: Sequence[Call]
    single_ids: Mapping[str, Sequence[str]]
    """By carrier: the orders that bring numbers whose ids the producer chose."""
    orders: int
    refusals: int
    """How many orders break a rule."""
    repeats: int
    """How many orders are sent once more under the same key."""
    removals: int
    """How many give numbers back that are too young for it."""


class _Writer:
    """Gives bodies their keys, ids and notices."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._written = 0

    def dressed(self, body: Body) -> Body:
        """Give an order its key and its notice; every fourth is also followed on its way."""
        self._written += 1
        ends = ["COMPLETED", "PARTIAL", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED"]
        on = ["ACCEPTED", "OPEN", *ends] if self._written % 4 == 0 else ends
        notify = {"task": TOLD_TASK, "queue": TOLD_QUEUE, "on": on}
        return {"key": f"demo-{self._written:04}", "kind": "new_numbers", "notify": notify, **body}

    def submit(self, body: Body, *, gives_back: Iterable[Call] = ()) -> Call:
        """Send one order under an id of the producer's."""
        kwargs = {"order": body, "producer": "demo"}
        return Call(self._id(), "orders.submit", kwargs, tuple(call.call_id for call in gives_back))

    def submit_many(self, bodies: Sequence[Body]) -> Call:
        """Send many orders in one message."""
        return Call(self._id(), "orders.submit_many", {"orders": list(bodies), "producer": "demo"})

    def _id(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128), version=4))


def write_script(orders: int, seed: int) -> Script:
    """Return a script of that many good orders, and some that are not."""
    dice = Random(seed)  # noqa: S311  what is ordered is no secret
    writer = _Writer(dice)
    from_swift, at_once, later = _from_swift(writer, swift.wishes(orders, dice))
    from_cm = [_to("cm", body) for body in cm.bodies(max(8, int(orders * _CM_SHARE)), dice)]
    kept = [_to("bandwidth", body) for body in bandwidth.ordinary(_GIVEN_BACK, dice)]
    plain = orders - len(from_swift) - len(at_once) - len(later) - len(from_cm) - 2 * len(kept)
    from_bandwidth = [_choosy(_to("bandwidth", body), dice) for body in bandwidth.bodies(plain, dice)]
    dice.shuffle(from_bandwidth)
    batched = int(len(from_bandwidth) * _BATCHED_SHARE)
    many = [writer.dressed(body) for body in from_bandwidth[:batched]]
    singles = [writer.submit(writer.dressed(body)) for body in (*from_bandwidth[batched:], *from_cm)]
    dice.shuffle(singles)
    given = [writer.submit(writer.dressed(body)) for body in kept]
    back = [writer.submit(writer.dressed(_removal("bandwidth")), gives_back=[call]) for call in given]
    bad = [writer.submit(body) for body in _bad_orders()]
    repeats = [writer.submit(dict(call.kwargs["order"])) for call in singles[:3]]
    conflict = writer.submit({**singles[0].kwargs["order"], "name": "another order under the same key"})
    batches = [writer.submit_many([*many[i : i + _BATCH], *_bad_orders()[:1]]) for i in range(0, batched, _BATCH)]
    brought = [*from_swift[:-1], *at_once, *given, *singles, from_swift[-1]]
    return Script(
        calls=(*_spread(brought, [*batches, *bad]), *repeats, conflict, *later, *back),
        single_ids=_by_carrier([*from_swift, *singles]),
        orders=orders,
        refusals=len(bad) + len(batches) + 1,
        repeats=len(repeats),
        removals=len(at_once) + len(later),
    )


def _from_swift(writer: _Writer, wishes: swift.Wishes) -> tuple[list[Call], list[Call], list[Call]]:
    """Return what brings numbers, the removals sent at once, and those sent when there is something to remove."""
    brought = [writer.submit(writer.dressed(_to("swift", body))) for body in wishes.brought]
    at_once, later = [], []
    for removal in wishes.removals:
        of = [brought[place] for place in removal.of]
        order = of[0].kwargs["order"]
        body = {**_removal("swift"), "when_tainted": removal.when_tainted}
        body |= {"account": order["account"]} if "account" in order else {}
        if removal.at_once:
            at_once.append(writer.submit(writer.dressed({**body, "numbers": order["numbers"]})))
        else:
            later.append(writer.submit(writer.dressed(body), gives_back=of))
    return brought, at_once, later


def _to(carrier: str, body: Body) -> Body:
    return {"carrier": carrier, **body}


def _removal(carrier: str) -> Body:
    return {"carrier": carrier, "kind": "remove_numbers"}


def _choosy(body: Body, dice: Random) -> Body:
    return {"allow_partial": dice.random() > 0.1, **body}  # noqa: PLR2004  nine in ten take what there is


def _by_carrier(calls: Sequence[Call]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for call in calls:
        found.setdefault(call.kwargs["order"]["carrier"], []).append(call.call_id)
    return found


def _spread(many: Sequence[Call], few: Sequence[Call]) -> Iterator[Call]:
    """Put the few among the many, evenly."""
    step = max(1, len(many) // (len(few) + 1))
    rest = iter(few)
    for place, call in enumerate(many, 1):
        yield call
        if place % step == 0:
            yield from islice(rest, 1)
    yield from rest


def _bad_orders() -> list[Body]:
    """Return orders that are refused before any carrier hears of them, each for another reason."""
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
    return [{"key": f"demo-bad-{i}", **good, **wrong} for i, wrong in enumerate(wrongs, 1)]
