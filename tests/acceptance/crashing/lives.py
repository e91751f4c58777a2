"""The lives that are broken at every point: of each carrier every kind, straight to its end or with its detours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
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


class Sort(StrEnum):
    """What there must be for an order to give it up."""

    BANDWIDTHS = "at Bandwidth"
    SWIFTS = "at Swift, and old enough"
    YOUNG = "at Swift, within its taint window"
    STRANGE = "at Swift, where nobody told us of it"


@dataclass(frozen=True, slots=True)
class Life:
    """One way for an order to go."""

    carrier: str
    name: str
    wanted: Callable[..., Order]
    """Makes the order, of what it gives up."""
    gives_up: tuple[Sort, ...] = ()
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


def _searched() -> Order:
    return _bandwidth(criteria={"npa": "919"}, quantity=2)


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


def _brought_along() -> Order:
    return {
        "carrier": "swift",
        "kind": "add_messaging_numbers",
        "numbers": [next(_strange)],
        "account": next(_accounts),
    }


_CHECKOUT: Final = {"path": "/carts/{cartId}/checkout"}
_LOST: Final = {"fault": "drop_after", "method": "POST"}
_NEVER_CAME: Final = {"fault": "drop_before", "method": "POST"}

LIVES: Final = (
    Life("bandwidth", "numbers by name", lambda: _bandwidth(numbers=[next(_named)])),
    Life("bandwidth", "search and order", _searched),
    Life("bandwidth", "removal", partial(_given_up, "bandwidth"), (Sort.BANDWIDTHS,)),
    Life("cm", "area code", partial(_cm, "020")),
    Life("cm", "ranges", partial(_cm, "020", quantity=20, range_size=10)),
    Life("cm", "called back", partial(_cm, "0114"), end="CANCELLED", called_back=True),
    Life("swift", "new numbers", _swift),
    Life("swift", "brought along", _brought_along),
    Life("swift", "removal", partial(_given_up, "swift"), (Sort.SWIFTS,)),
    Life(
        "bandwidth", "search and order, answer lost", _searched,
        fault=_LOST | {"path": "/orders"}, beside="bandwidth, search and order",
    ),
    Life(
        "bandwidth", "removal, answer lost", partial(_given_up, "bandwidth"), (Sort.BANDWIDTHS,),
        fault=_LOST | {"path": "/disconnects"}, beside="bandwidth, removal",
    ),
    Life(
        "bandwidth", "backorder called back",
        partial(_bandwidth, criteria={"npa": "701"}, quantity=2, allow_backorder=True),
        end="PARTIAL", called_back=True, beside="bandwidth, search and order",
    ),
    Life(
        "cm", "area code, answer lost", partial(_cm, "020"),
        fault=_LOST | {"path": "/numberRequests"}, beside="cm, area code",
    ),
    Life("swift", "new numbers, answer lost", _swift, fault=_LOST | _CHECKOUT, beside="swift, new numbers"),
    Life("swift", "new numbers, request lost", _swift, fault=_NEVER_CAME | _CHECKOUT, beside="swift, new numbers"),
    Life("swift", "removal of a stranger", partial(_given_up, "swift"), (Sort.STRANGE,)),
    Life("swift", "removal too early", partial(_given_up, "swift"), (Sort.YOUNG,), beside="swift, removal"),
    Life(
        "swift", "removal in two parts", partial(_given_up, "swift", when_tainted="split"), (Sort.SWIFTS, Sort.YOUNG),
        beside="swift, removal",
    ),
)  # fmt: skip
