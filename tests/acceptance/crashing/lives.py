"""The lives that are broken at every point: of each carrier every kind, straight to its end or with its detours."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

Order = dict[str, Any]

SUB_ACCOUNTS: Final = tuple(f"01K3S620PA5JPWPR11F{number:07}" for number in range(1000))
"""Orders of different accounts buy side by side at Swift."""
_DUTCH: Final = {"country": "NLD", "number_type": "local"}

_strange = (f"+1202555{line:04}" for line in count(2000))
_named = (f"+1919234{line:04}" for line in count(200))
_accounts = iter(SUB_ACCOUNTS)
STRANGERS: Final = (f"+1202666{line:04}" for line in count(2000))
"""Numbers that somebody else is going to bring to the Swift account."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Numbers that are there to be given up, each once."""

    bandwidth: Iterator[str]
    swift: Iterator[str]
    young: Iterator[str]
    """Swift's, and still within their taint window."""
    strange: Iterator[str]
    """On the Swift account, and nobody told us how they came there."""


@dataclass(frozen=True, slots=True)
class Life:
    """One way for an order to go."""

    carrier: str
    name: str
    wanted: Callable[[Shelf], Order]
    fault: Mapping[str, Any] | None = None
    """What the carrier does to it, beside what breaks at our end."""
    end: str = "COMPLETED"
    called_back: bool = False
    beside: str | None = None
    """A life that goes the same way for long: only where this one differs it is struck."""

    def __str__(self) -> str:
        return f"{self.carrier}, {self.name}"


def _bandwidth(**wanted: Any) -> Order:
    return {"carrier": "bandwidth", "kind": "new_numbers", **wanted}


def _given_up(carrier: str, *numbers: str, **changes: Any) -> Order:
    return {"carrier": carrier, "kind": "remove_numbers", "numbers": list(numbers), **changes}


def _cm(npa: str, **wanted: Any) -> Order:
    return {"carrier": "cm", "kind": "new_numbers", "criteria": {**_DUTCH, "npa": npa}, "quantity": 2, **wanted}


def _swift(**wanted: Any) -> Order:
    return {
        "carrier": "swift",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": 1,
        "account": next(_accounts),
        **wanted,
    }


def _brought_along(_: Shelf) -> Order:
    return {"carrier": "swift", "kind": "add_messaging_numbers", "numbers": [next(_strange)]}


_CHECKOUT: Final = {"path": "/carts/{cartId}/checkout"}
_LOST: Final = {"fault": "drop_after", "method": "POST"}
_NEVER_CAME: Final = {"fault": "drop_before", "method": "POST"}

LIVES: Final = (
    Life("bandwidth", "numbers by name", lambda _: _bandwidth(numbers=[next(_named)])),
    Life("bandwidth", "search and order", lambda _: _bandwidth(criteria={"npa": "919"}, quantity=2)),
    Life("bandwidth", "removal", lambda shelf: _given_up("bandwidth", next(shelf.bandwidth))),
    Life("cm", "area code", lambda _: _cm("020")),
    Life("cm", "ranges", lambda _: _cm("020", quantity=20, range_size=10)),
    Life("cm", "called back", lambda _: _cm("0114"), end="CANCELLED", called_back=True),
    Life("swift", "new numbers", lambda _: _swift()),
    Life("swift", "brought along", _brought_along),
    Life("swift", "removal", lambda shelf: _given_up("swift", next(shelf.swift))),
    Life(
        "bandwidth", "search and order, answer lost", lambda _: _bandwidth(criteria={"npa": "919"}, quantity=2),
        fault=_LOST | {"path": "/orders"}, beside="bandwidth, search and order",
    ),
    Life(
        "bandwidth", "removal, answer lost", lambda shelf: _given_up("bandwidth", next(shelf.bandwidth)),
        fault=_LOST | {"path": "/disconnects"}, beside="bandwidth, removal",
    ),
    Life(
        "bandwidth", "backorder called back",
        lambda _: _bandwidth(criteria={"npa": "701"}, quantity=2, allow_backorder=True),
        end="PARTIAL", called_back=True, beside="bandwidth, search and order",
    ),
    Life(
        "cm", "area code, answer lost", lambda _: _cm("020"),
        fault=_LOST | {"path": "/numberRequests"}, beside="cm, area code",
    ),
    Life("swift", "new numbers, answer lost", lambda _: _swift(), fault=_LOST | _CHECKOUT, beside="swift, new numbers"),
    Life(
        "swift", "new numbers, request lost", lambda _: _swift(),
        fault=_NEVER_CAME | _CHECKOUT, beside="swift, new numbers",
    ),
    Life(
        "swift", "removal of a stranger", lambda shelf: _given_up("swift", next(shelf.strange)),
        beside="swift, removal",
    ),
    Life("swift", "removal too early", lambda shelf: _given_up("swift", next(shelf.young)), beside="swift, removal"),
    Life(
        "swift", "removal in two parts",
        lambda shelf: _given_up("swift", next(shelf.swift), next(shelf.young), when_tainted="split"),
        beside="swift, removal",
    ),
)  # fmt: skip
