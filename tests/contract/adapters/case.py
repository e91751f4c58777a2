"""What a carrier declares for the contract: orders for each fate, and where its requests may go."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from number_orders.orders.model import CarrierName, Criteria, Kind, OrderRequest, State
from number_orders.orders.numbers import E164
from workers.carriers import CarrierEntry


class Fate(StrEnum):
    """What becomes of an order at the sandbox carrier."""

    FULL = "full"
    PARTIAL = "partial"
    FAILED = "failed"
    ENDLESS = "endless"
    STRANGE = "strange"
    """An unknown status, and later all numbers."""


ENDS: Mapping[Fate, State] = {
    Fate.FULL: State.COMPLETED,
    Fate.PARTIAL: State.PARTIAL,
    Fate.FAILED: State.FAILED,
    Fate.STRANGE: State.COMPLETED,
}
OUTCOMES: Mapping[Fate, str] = {
    Fate.FULL: "COMPLETED",
    Fate.PARTIAL: "PARTIAL",
    Fate.FAILED: "FAILED",
    Fate.STRANGE: "COMPLETED",
}
"""The same in the words of the sandbox's report."""


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """An order that will have a certain fate. Some need numbers that are bought `first`."""

    make: Callable[[tuple[E164, ...]], OrderRequest]
    first: OrderRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Something that can be ordered from one carrier."""

    what: str
    kind: Kind
    commit: tuple[str, str]
    """Method and template, as the sandbox has it, of the request that costs money."""
    plans: Mapping[Fate, OrderPlan]
    prepares: Sequence[tuple[str, str]] = ()
    """The same for the requests before it."""
    sized: Callable[[int], OrderRequest]
    """Returns an order for this many numbers."""
    ends: Mapping[Fate, State] = field(default_factory=dict)
    """Where this carrier's end of a fate is not the usual state."""

    def end_of(self, fate: Fate) -> State:
        """Return the state in which an order of this fate must end."""
        return self.ends.get(fate, ENDS[fate])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One carrier: its entry in the registry, our account at the sandbox, and what can be ordered."""

    entry: CarrierEntry
    own: Callable[[str], Mapping[str, Any]]
    """Returns its own settings, for a sandbox at this address."""
    products: Sequence[Product]
    refused: OrderRequest
    """An order that the adapter accepts and the carrier refuses."""
    documented: Sequence[str]
    """Every request that the carrier's pages document, as `GET /path/{placeholder}`."""
    secrets: Sequence[str]

    def documents(self, method: str, path: str) -> bool:
        """Return whether a request is in the carrier's pages."""
        return any(
            re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(known)), f"{method} {path}")
            for known in self.documented
        )


def wanted(carrier: str, quantity: int, *, more: Mapping[str, Any] | None = None, **criteria: Any) -> OrderRequest:
    """Return an order for new numbers by criteria."""
    return OrderRequest(
        "contract",
        CarrierName(carrier),
        Kind.NEW_NUMBERS,
        criteria=Criteria(**criteria),
        quantity=quantity,
        **(more or {}),
    )


def named(carrier: str, kind: Kind, *numbers: str) -> OrderRequest:
    """Return an order that names its numbers."""
    return OrderRequest("contract", CarrierName(carrier), kind, numbers=tuple(map(E164, numbers)))


def plan(request: OrderRequest) -> OrderPlan:
    """Return the plan of an order that needs nothing first."""
    return OrderPlan(lambda _bought: request)
