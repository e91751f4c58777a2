"""What a carrier's adapter is, and what passes between it and the courier.

An adapter is pure: it holds a conversation by yielding requests and being sent answers, and at the
end returns the event that happened. It never opens a socket, reads a clock or retries anything.

    def submit(self, order):
        answer = yield self.encode_order(order)
        return self.decode_submission(order, answer)

The courier (`carriers.courier`) carries each request out and ends the conversation by itself when no
answer comes: with `NotSent` or `AnswerLost` for a request that costs money, with `NoAnswer` raised for
any other.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from orders.errors import Fault
from orders.events import Event
from orders.model import CarrierName, Kind, Order, OrderRequest


class Purpose(StrEnum):
    """What a request does at the carrier, and so what a lost answer means."""

    READ = "read"
    PREPARE = "prepare"
    """Repeatable, and costs nothing."""
    COMMIT = "commit"
    """Money. Sent at most once per begun submission."""


@dataclass(frozen=True, slots=True)
class CarrierRequest:
    """One request, as an adapter wants it sent. `path` starts with a slash, after the base URL."""

    method: str
    path: str
    purpose: Purpose
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str | None = None
    accept: str = "application/xml"


@dataclass(frozen=True, slots=True)
class CarrierAnswer:
    """One answer, whole: the courier has capped its size. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed: timedelta = timedelta()


Conversation = Generator[CarrierRequest, CarrierAnswer, Event]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a carrier offers, declared rather than discovered."""

    kinds: frozenset[Kind]
    quantity_max: int
    partial_fill: bool
    backorder: bool
    found_by_reference: bool
    """A submission whose answer was lost can be looked up by our order id."""


class Adapter(Protocol):
    """Translates orders to and from one carrier's dialect."""

    @property
    def name(self) -> CarrierName: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything this carrier would not take; empty when the order is good."""
        ...

    def submit(self, order: Order) -> Conversation:
        """Send the order. Ends in Acknowledged, Refused, NotSent, AnswerLost, or an end reached at once."""
        ...

    def ask(self, order: Order) -> Conversation:
        """Ask how an OPEN order stands. Ends in StillOpen or one of the carrier's ends.

        Raises:
            NoAnswer: The answer says nothing of the order (gateway trouble, a limit).
            UnreadableAnswer: It is not what the documents describe.
        """
        ...

    def look_for(self, order: Order) -> Conversation:
        """Look for an order IN_DOUBT. Ends in Acknowledged, NotListed or FoundTwice.

        Raises:
            NoAnswer: The carrier's records could not be read, so nothing is known.
            UnreadableAnswer: They are not what the documents describe.
        """
        ...
