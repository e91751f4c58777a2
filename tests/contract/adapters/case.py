"""What a carrier brings to the contract: how to order what goes which way, and where its requests may go."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from number_orders.orders.model import CarrierName, Criteria, Kind, OrderRequest, State
from number_orders.orders.numbers import E164
from workers.carriers import CarrierEntry


class Fate(StrEnum):
    """How an order goes at the practice carrier."""

    FULL = "full"
    PARTIAL = "partial"
    FAILED = "failed"
    ENDLESS = "endless"
    STRANGE = "strange"
    """A status that nobody has heard of, and later all numbers."""


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
class Wish:
    """An order that will go a certain way. Some need numbers that were bought `first`."""

    make: Callable[[tuple[E164, ...]], OrderRequest]
    first: OrderRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way of ordering at one carrier."""

    what: str
    kind: Kind
    commit: tuple[str, str]
    """Method and template, as the sandbox knows it, of the request that costs money."""
    wishes: Mapping[Fate, Wish]
    prepares: Sequence[tuple[str, str]] = ()
    """The same of those that come before it."""
    sized: Callable[[int], OrderRequest]
    """An order for so many numbers."""
    ends: Mapping[Fate, State] = field(default_factory=dict)
    """Where this carrier's ends are told in other words than usual."""

    def end_of(self, fate: Fate) -> State:
        """Return the state in which an order of this fate must end."""
        return self.ends.get(fate, ENDS[fate])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One carrier: its entry in the registry, how the sandbox knows us, and what can be ordered."""

    entry: CarrierEntry
    own: Callable[[str], Mapping[str, Any]]
    """Its own settings, for a sandbox at this address."""
    offers: Sequence[Offer]
    refused: OrderRequest
    """One that the adapter takes and the carrier refuses at its door."""
    documented: Sequence[str]
    """Every request that the carrier's pages document, as `GET /path/{placeholder}`."""
    secrets: Sequence[str]

    def documents(self, method: str, path: str) -> bool:
        """Tell whether a request is one of the carrier's pages'."""
        return any(
            re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(known)), f"{method} {path}")
            for known in self.documented
        )


def wanted(carrier: str, quantity: int, *, more: Mapping[str, Any] | None = None, **criteria: Any) -> OrderRequest:
    """Ask for new numbers by criteria."""
    return OrderRequest(
        "contract",
        CarrierName(carrier),
        Kind.NEW_NUMBERS,
        criteria=Criteria(**criteria),
        quantity=quantity,
        **(more or {}),
    )


def named(carrier: str, kind: Kind, *numbers: str) -> OrderRequest:
    """Ask for something with these very numbers."""
    return OrderRequest("contract", CarrierName(carrier), kind, numbers=tuple(map(E164, numbers)))


def plain(request: OrderRequest) -> Wish:
    """Wish for something that needs nothing first."""
    return Wish(lambda _bought: request)
