"""Questions that are about no order: one way to ask them and one shape of answer, for all carriers.

There are five topics: which numbers are for sale, how many there are where, under which rules they are sold, what is on
record about one number, and which numbers are ours. A carrier's `Market` declares the topics that it answers, and has
one inquiry for each. A question on another topic is refused with the list of the declared ones.
Pure like an adapter: an inquiry yields requests, and the courier sends them (`Courier.inquire`). Knows no carrier's
dialect, and changes no order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from number_orders.carriers.contract import Inquiry
from number_orders.orders.errors import Fault, InquiryRefused
from number_orders.orders.model import CarrierName, Criteria
from number_orders.orders.numbers import E164


class Topic(StrEnum):
    """What a question is about."""

    SEARCH = "search"
    COVERAGE = "coverage"
    RESTRICTIONS = "restrictions"
    NUMBER = "number"
    NUMBERS = "numbers"


# --- Questions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Which numbers can be bought now? The criteria mean the same as in an order."""

    criteria: Criteria
    quantity: int | None = None
    """The most to return. None: as many as the carrier returns at once."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of this carrier only."""


@dataclass(frozen=True, slots=True)
class CoverageQuery:
    """How many numbers are there? Counted in total, or for each combination of values of the `group_by` fields."""

    criteria: Criteria
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestrictionsQuery:
    """Under which rules are numbers of a country sold?"""

    country: str
    """ISO 3166 alpha-3."""
    number_type: str | None = None


@dataclass(frozen=True, slots=True)
class InServiceQuery:
    """Which numbers are ours? The criteria filter them, as far as the carrier can. Without criteria: all."""

    criteria: Criteria = field(default_factory=Criteria)
    limit: int | None = None
    """The most to read."""


# --- Answers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """A number that can be bought. What the carrier does not say is None."""

    e164: E164
    country: str | None = None
    number_type: str | None = None
    """In the carrier's word."""
    city: str | None = None
    state: str | None = None
    rate_center: str | None = None
    lata: str | None = None
    area_code: str | None = None
    tier: str | None = None
    """The carrier's price class."""


@dataclass(frozen=True, slots=True)
class Offers:
    """The result of a search."""

    listed: tuple[Offer, ...] = ()
    unreadable: int = 0
    """How many entries could not be read as numbers."""


@dataclass(frozen=True, slots=True)
class CoverageEntry:
    """How many numbers have the values of `group`."""

    group: Mapping[str, str]
    quantity: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many numbers there are, by group and in total."""

    entries: tuple[CoverageEntry, ...] = ()
    quantity: int | None = None
    """In total, if the carrier says so."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """One rule about the numbers of a country; about one type of them, if `number_type` is set."""

    country: str
    subject: str
    rule: str
    number_type: str | None = None
    nature: str | None = None
    """The kind of rule, in the carrier's word: LEGAL, SERVICE."""


@dataclass(frozen=True, slots=True)
class HeldNumber:
    """What the carrier has on record about a number. What it does not say is None."""

    e164: E164
    status: str | None = None
    """In the carrier's word."""
    is_ours: bool | None = None
    """Whether we hold it, by this record. None: the record does not say."""
    carrier_order_id: str | None = None
    """The carrier's order that brought it."""
    account: str | None = None
    sub_account: str | None = None
    ordered_at: datetime | None = None
    in_service_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """Numbers that are ours, as far as they were read."""

    listed: tuple[HeldNumber, ...] = ()
    total: int | None = None
    """How many there are, if the carrier says so."""
    unreadable: int = 0
    """How many entries could not be read as numbers."""


# --- The market -------------------------------------------------------------------------------


class Market:
    """The questions that one carrier answers. A subclass declares topics in `offers` and overrides their methods.

    Every method returns an inquiry, which ends in the answer.

    An inquiry raises:
        InquiryRefused: The question breaks a rule. Field and rule are named, and nothing was sent.
        Declined: The carrier refused to answer.
        NoAnswer: The carrier did not answer, or a gateway answered in its place.
        UnreadableAnswer: The answer is not what the carrier's documents describe.
    """

    offers: frozenset[Topic] = frozenset()

    def __init__(self, name: CarrierName) -> None:
        self.name = name

    def search(self, query: SearchQuery) -> Inquiry[Offers]:
        """Ask which numbers can be bought."""
        raise self._not_offered(Topic.SEARCH)

    def coverage(self, query: CoverageQuery) -> Inquiry[Coverage]:
        """Ask how many numbers there are."""
        raise self._not_offered(Topic.COVERAGE)

    def restrictions(self, query: RestrictionsQuery) -> Inquiry[tuple[Restriction, ...]]:
        """Ask under which rules numbers are sold."""
        raise self._not_offered(Topic.RESTRICTIONS)

    def number(self, e164: E164) -> Inquiry[HeldNumber]:
        """Ask what is on record about one number."""
        raise self._not_offered(Topic.NUMBER)

    def numbers(self, query: InServiceQuery) -> Inquiry[Holdings]:
        """Ask which numbers are ours."""
        raise self._not_offered(Topic.NUMBERS)

    def _not_offered(self, refused: Topic) -> InquiryRefused:
        offered = ", ".join(topic for topic in Topic if topic in self.offers) or "no questions"
        return InquiryRefused([Fault("carrier", f"{self.name} does not answer {refused}; it answers {offered}")])


NO_MARKET: Final = Market(CarrierName("this carrier"))
"""The market of a carrier that only takes orders."""
