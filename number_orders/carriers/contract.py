"""What a carrier's adapter is, and what passes between it and the courier.

An adapter is pure: it holds a conversation by yielding requests and being sent answers, and at the
end returns the event that happened. It never opens a socket, reads a clock or retries anything.

    def submit(self, order):
        answer = yield self.encode_order(order)
        return self.decode_submission(order, answer)

The courier (`number_orders.carriers.http.courier`) carries each request out and ends the conversation by itself when no
answer comes: with `NotSent` or `AnswerLost` for a request that costs money, with `NoAnswer` raised for
any other.

A carrier that wants several steps keeps what it has done before it goes on (`Keep`), and may ask the
ledger what it knows of numbers (`Recall`):

        yield Keep({"cart_id": cart_id})  # in the ledger before anything is paid for
        known = yield Recall(order.request.numbers)
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

from number_orders.orders.errors import Fault
from number_orders.orders.events import Event
from number_orders.orders.model import CarrierName, Kind, Lane, Order, OrderRequest
from number_orders.orders.numbers import E164


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
    query: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """A name that is repeated has several values."""
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


@dataclass(frozen=True, slots=True)
class Keep:
    """Steps done at the carrier: the order's `progress` from now on, whole, written before the conversation goes on."""

    progress: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recall:
    """Asks the ledger what it knows of these numbers at this carrier. Answered with a `Recollection`."""

    numbers: tuple[E164, ...]


@dataclass(frozen=True, slots=True)
class Recollection:
    """What the ledger knows of some numbers, and what time it is there. Numbers it knows nothing of are left out."""

    now: datetime
    held_since: Mapping[E164, datetime] = field(default_factory=dict)
    """When we came to know that we hold them: never earlier than the carrier gave them."""
    of_others: frozenset[E164] = frozenset()
    """Those that another order of ours has brought, or has named and will bring."""
    awaited: frozenset[E164] = frozenset()
    """Those that an unfinished order of ours has named and not brought yet."""


class Memory(Protocol):
    """The ledger, as a conversation under way may use it."""

    async def keep(self, progress: Mapping[str, object]) -> None:
        """Write steps down.

        Raises:
            Passing: They were not written: the ledger is away, or the order has moved on without us.
        """
        ...

    async def recall(self, numbers: tuple[E164, ...]) -> Recollection:
        """Say what is known of these numbers.

        Raises:
            LedgerUnavailable: It cannot be said now.
        """
        ...


class Pace(Protocol):
    """The carrier's limit, as a conversation under way has to mind it."""

    async def wait(self) -> float:
        """Wait until the next request may leave, and return until when it may, on the courier's clock.

        Raises:
            Passing: None may leave in time.
        """
        ...


Told = TypeVar("Told")
Talk = Generator[CarrierRequest | Keep | Recall, Any, Told]
"""Yields requests and is sent `CarrierAnswer`s; keeps and is sent None; recalls and is sent a `Recollection`."""

Conversation = Talk[Event]
Inquiry = Generator[CarrierRequest, CarrierAnswer, Told]
"""A question that concerns no order, and moves none. Never commits."""


GATEWAYS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""What is answered when nobody is behind the door."""
EVERYTHING: Final = "ALL"
"""The limit that requests draw on where a carrier does not limit them by groups."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a carrier offers, declared rather than discovered."""

    kinds: frozenset[Kind]
    quantity_max: int
    partial_fill: bool
    backorder: bool
    found_by_reference: bool
    """A submission whose answer was lost can be looked up by our order id."""
    called_back: frozenset[Kind] = frozenset()
    """Kinds of orders that can be called back while the carrier has them."""
    limit_groups: Mapping[tuple[Lane, Kind], str] = field(default_factory=dict)
    """What the carrier limits together, in its own words: the group that the work on a lane draws on, by kind."""
    reserves: bool = False
    """A number can be kept from other buyers for a while."""
    taint_window: timedelta | None = None
    """How long a number that was bought cannot be removed again."""

    def limit_group(self, lane: Lane, kind: Kind) -> str:
        """Return which of the carrier's limits a conversation draws on, with each of its requests."""
        return self.limit_groups.get((lane, kind), EVERYTHING)


class Adapter(Protocol):
    """Translates orders to and from one carrier's dialect."""

    @property
    def name(self) -> CarrierName: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything this carrier would not take; empty when the order is good."""
        ...

    def serial_key(self, request: OrderRequest) -> str | None:
        """Name what this order needs to itself at the carrier: of orders with the same name one is sent at a time."""
        ...

    def submit(self, order: Order) -> Conversation:
        """Send the order. Ends in Acknowledged, Refused, NotSent, Deferred, AnswerLost, or an end reached at once."""
        ...

    def ask(self, order: Order) -> Conversation:
        """Ask how an OPEN order stands. Ends in StillOpen, PartSettled, CalledBack or one of the carrier's ends.

        Or in Acknowledged, under the name that really holds the numbers; or Parked, when what happened cannot be found.

        Parked, when what the carrier has under that name is somebody else's.

        An order that was called back (`order.cancel_asked_at`) is called back at the carrier first, if it can be.

        Raises:
            NoAnswer: The answer says nothing of the order (gateway trouble, a limit).
            UnreadableAnswer: It is not what the documents describe.
        """
        ...

    def look_for(self, order: Order) -> Conversation:
        """Look for an order IN_DOUBT. Ends in Acknowledged, NotListed or FoundTwice.

        Or in ProvenAbsent, when nothing with money in it can have left.

        Raises:
            NoAnswer: The carrier's records could not be read, so nothing is known.
            UnreadableAnswer: They are not what the documents describe.
        """
        ...
