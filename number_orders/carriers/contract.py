"""What an adapter must offer, and what an adapter and the courier pass to each other.

An adapter is pure. It writes a conversation as a generator: it yields requests, is sent the answers, and returns the
event that happened. It never opens a socket, reads a clock or retries anything.

    def submit(self, order):
        answer = yield self.encode_order(order)
        return self.decode_submission(order, answer)

The courier (`number_orders.carriers.http.courier`) sends each request. When no answer comes, it ends the conversation
itself: with `NotSent` or `AnswerLost` if the request costs money, by raising `NoAnswer` if it does not.

A conversation of several steps saves what it has done before it goes on. It can also ask what the ledger knows of
numbers:

        yield SaveProgress({"cart_id": cart_id})  # in the ledger before anything is paid for
        known = yield LookUpNumbers(order.request.numbers)

A list of numbers that has many pages is not read by a conversation. It asks a reading that serves every order:

        listed = yield FindInList("/dids", question="the numbers of a removal", numbers=order.request.numbers)
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from number_orders.orders.errors import Fault
from number_orders.orders.events import Event
from number_orders.orders.model import CarrierName, Kind, Lane, Order, OrderId, OrderRequest, Owner
from number_orders.orders.numbers import E164, ListedNumber

GATEWAY_STATUSES: Final = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
"""What a gateway answers when it cannot reach the carrier behind it."""
ONE_LIMIT_GROUP: Final = "ALL"
"""The limit group of all requests to a carrier that does not limit them by groups."""


class Purpose(StrEnum):
    """What a request does at the carrier, which decides what a lost answer means."""

    READ = "read"
    """Changes nothing."""
    PREPARE = "prepare"
    """Costs nothing, and may be repeated."""
    COMMIT = "commit"
    """Costs money. Sent at most once per begun submission."""


@dataclass(frozen=True, slots=True)
class CarrierRequest:
    """One HTTP request. `path` starts with a slash and follows the base URL."""

    method: str
    path: str
    purpose: Purpose
    query: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """A parameter that is repeated has a tuple of values."""
    body: bytes = b""
    content_type: str | None = None
    accept: str = "application/xml"


@dataclass(frozen=True, slots=True)
class CarrierAnswer:
    """One complete HTTP answer. Header names are lower case. The courier has capped the size of `body`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class SaveProgress:
    """Replaces the order's `progress` in the ledger. The conversation goes on when it is written; the reply is None."""

    progress: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LookUpNumbers:
    """Asks what the ledger knows of these numbers at this carrier. The reply is `KnownNumbers`."""

    numbers: tuple[E164, ...]
    references: tuple[str, ...] = ()
    """Also which orders with these references have ended."""
    carrier_orders: tuple[str, ...] = ()
    """Also what the orders of ours are that became these carrier orders."""


@dataclass(frozen=True, slots=True)
class Release:
    """The release of a number by another order of ours, and when we learnt of it."""

    order_id: OrderId
    at: datetime


@dataclass(frozen=True, slots=True)
class KnownNumbers:
    """What the ledger knows of some numbers, and the ledger's time. Unknown numbers are left out."""

    now: datetime
    held_since: Mapping[E164, datetime] = field(default_factory=dict)
    """When we learnt that we hold a number: never earlier than the carrier gave it."""
    of_other_orders: frozenset[E164] = frozenset()
    """Numbers that another order of ours has brought, or has named and will bring."""
    awaited: frozenset[E164] = frozenset()
    """Numbers that an unfinished order of ours has named and not brought yet."""
    released: Mapping[E164, Release] = field(default_factory=dict)
    """The latest release of a number by another order of ours. It may have been bought again since."""
    ended: frozenset[str] = frozenset()
    """Those of the references whose order has ended in the ledger."""
    owners: Mapping[str, Owner] = field(default_factory=dict)
    """By carrier order, the order of ours that follows it. Unknown ones are left out."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a carrier's list, and the cursor of the next page; None on the last one."""

    numbers: tuple[ListedNumber, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class FindInList:
    """Asks what a carrier's whole list has of some numbers. The reply is `ListedNumbers`.

    Only a reading that began after the question was put answers it. Until one is whole, the question is put off.
    """

    list_name: str
    """The adapter's name of the list, as `ReadsLists.read_page` takes it."""
    question: str
    """What is asked, and about what. The same question of the same order keeps its time until it is answered."""
    numbers: tuple[E164, ...] = ()
    since: datetime | None = None
    """Also every number that was inserted at this moment or later, on the carrier's clock."""


@dataclass(frozen=True, slots=True)
class ListedNumbers:
    """What a reading has found. Whatever changed after `began_at`, on the ledger's clock, may not be in it."""

    began_at: datetime
    numbers: tuple[ListedNumber, ...]


class ConversationStore(Protocol):
    """What a running conversation may read from the ledger and write to it."""

    async def save_progress(self, progress: Mapping[str, object]) -> None:
        """Write the order's progress.

        Raises:
            Passing: It was not written: the ledger is away, or the order has moved on.
        """
        ...

    async def look_up_numbers(self, step: LookUpNumbers) -> KnownNumbers:
        """Return what the ledger knows of these numbers, and which orders with these references have ended.

        Raises:
            LedgerUnavailable: The ledger cannot be read now.
        """
        ...

    async def find_in_list(self, wanted: FindInList) -> ListedNumbers:
        """Return what a reading has found that began after the question was put.

        Raises:
            AwaitsReading: There is no such reading yet.
            LedgerUnavailable: The ledger cannot be read now.
        """
        ...


@dataclass(frozen=True, slots=True)
class LimitPause:
    """The carrier wants no more requests of one limit group: until when on the courier's clock, and as a moment."""

    ends_at: float
    until: datetime


class RateLimiter(Protocol):
    """The carrier's rate limit, for the requests of one conversation."""

    @property
    def group(self) -> str:
        """The limit group that counts the requests, in the carrier's word."""
        ...

    async def wait(self) -> float:
        """Wait for the next rate slot, and return its end in seconds on the courier's clock.

        Raises:
            Passing: There is no slot in time.
        """
        ...

    def note_pause(self, pause: LimitPause) -> None:
        """Take down that the carrier has answered "too many requests"."""
        ...

    def current_pause(self) -> LimitPause | None:
        """Return the pause that holds for this conversation, if it has begun before the ledger knew of it."""
        ...


Result = TypeVar("Result")
Step = CarrierRequest | SaveProgress | LookUpNumbers | FindInList
Reply = CarrierAnswer | KnownNumbers | ListedNumbers | None
ConversationOf = Generator[Step, Any, Result]
"""A conversation, or a part of one, that ends in a `Result`.

It is sent a `CarrierAnswer` for a request, None for `SaveProgress`, `KnownNumbers` for `LookUpNumbers`, and
`ListedNumbers` for `FindInList`.
"""
Conversation = ConversationOf[Event]
"""A conversation about an order: ends in the event that happened."""
Inquiry = Generator[CarrierRequest, CarrierAnswer, Result]
"""A question that is about no order and changes none. Never commits."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a carrier offers, as its adapter declares it."""

    kinds: frozenset[Kind]
    quantity_max: int
    partial_fill: bool
    backorder: bool
    found_by_reference: bool
    """An order whose answer was lost can be found by our reference."""
    cancellable: frozenset[Kind] = frozenset()
    """Kinds of orders that the carrier can cancel while they are open there."""
    cancels_backorders_only: bool = False
    """It cancels an order only while it waits for stock, so one that may not wait for stock never."""
    limit_groups: Mapping[tuple[Lane, Kind], str] = field(default_factory=dict)
    """By lane and kind: which of the carrier's rate limits the requests count against, in the carrier's word."""
    shows_numbers: bool = True
    """The carrier says of an order which numbers it brought. Otherwise they are looked for on the account."""
    reserves: bool = False
    """A number can be reserved for a while."""
    taint_window: timedelta | None = None
    """For how long a number that was just bought cannot be removed."""

    def limit_group(self, lane: Lane, kind: Kind) -> str:
        """Return the rate limit that every request of such a conversation counts against."""
        return self.limit_groups.get((lane, kind), ONE_LIMIT_GROUP)


class Adapter(Protocol):
    """Translates orders into one carrier's requests, and its answers into events."""

    @property
    def name(self) -> CarrierName: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything that this carrier would refuse; empty if the order is good."""
        ...

    def serial_keys(self, request: OrderRequest) -> tuple[str, ...]:
        """Return the keys of the serial locks that this order needs; empty if none.

        Orders that have a key in common are sent one by one.
        """
        ...

    def submit(self, order: Order) -> Conversation:
        """Send the order. Ends in Acknowledged, Refused, NotSent, Deferred, AnswerLost, or the order's end."""
        ...

    def ask(self, order: Order) -> Conversation:
        """Ask for the status of an OPEN order. Ends in StillOpen, PartSettled, CalledBack or one of the order's ends.

        It may also end in:
            Acknowledged: Another order at the carrier really holds the numbers.
            Parked: It cannot be found out what happened, or the carrier's order of that id is not ours.

        If the order was cancelled (`order.cancel_asked_at`), cancel it at the carrier first, if that is possible.

        Raises:
            NoAnswer: The answer says nothing about the order (gateway trouble, a rate limit).
            UnreadableAnswer: The answer is not what the carrier's documents describe.
        """
        ...

    def look_for(self, order: Order) -> Conversation:
        """Look for an order IN_DOUBT, or one that has ended. Ends in Acknowledged, NotListed or FoundTwice.

        Ends in ProvenAbsent if no request that costs money can have left. With `ended_at` all that the carrier has with
        our reference is wanted, so a list that was not shown whole is `NoAnswer`.

        Raises:
            NoAnswer: The carrier's records could not be read, so nothing is known.
            UnreadableAnswer: They are not what the carrier's documents describe.
        """
        ...


@runtime_checkable
class ReadsLists(Protocol):
    """What an adapter offers besides whose conversations ask for readings (`FindInList`)."""

    def read_page(self, list_name: str, cursor: str | None) -> Inquiry[ListPage]:
        """Read one page of a list: the first, or the one that follows `cursor`.

        Raises:
            NoAnswer: The page could not be read.
            UnreadableAnswer: It is not what the carrier's documents describe.
        """
        ...
