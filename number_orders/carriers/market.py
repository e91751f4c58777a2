"""What a carrier can be asked when no order is concerned: one way of asking, and one shape of answer for all.

Five topics: which numbers are to be had, how many there are where, under which rules, what one number is, and which
numbers are ours. A carrier's `Market` declares the topics it answers and holds one conversation for each; whoever asks
for another is told what it does answer. Pure like an adapter: it yields requests, and the courier carries them
(`Courier.inquire`). Knows no carrier's dialect, and moves no order.
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
    """What can be asked about."""

    SEARCH = "search"
    COVERAGE = "coverage"
    RESTRICTIONS = "restrictions"
    NUMBER = "number"
    NUMBERS = "numbers"


# --- Questions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """Which numbers can be bought now? The criteria are those of an order, and so is their meaning."""

    criteria: Criteria
    quantity: int | None = None
    """At most so many; None: as many as the carrier tells at once."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The carrier's own."""


@dataclass(frozen=True, slots=True)
class CountBy:
    """How many numbers are there, in groups of those alike in these fields? Without a field: in all."""

    criteria: Criteria
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesOf:
    """Under which rules are numbers of a country sold?"""

    country: str
    """ISO 3166 alpha-3."""
    number_type: str | None = None


@dataclass(frozen=True, slots=True)
class InService:
    """Which numbers are ours? The criteria narrow it down, where the carrier can; none asks for all."""

    criteria: Criteria = field(default_factory=Criteria)
    limit: int | None = None
    """Read no more than so many."""


# --- Answers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """A number that can be bought, and what the carrier tells of it. What it does not tell is None."""

    e164: E164
    country: str | None = None
    number_type: str | None = None
    """The carrier's own word."""
    city: str | None = None
    state: str | None = None
    rate_center: str | None = None
    lata: str | None = None
    area_code: str | None = None
    tier: str | None = None
    """The carrier's price class."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What a search found."""

    listed: tuple[Offer, ...] = ()
    unreadable: int = 0
    """Entries that are no numbers."""


@dataclass(frozen=True, slots=True)
class CoverageEntry:
    """So many numbers are alike in the fields of `group`."""

    group: Mapping[str, str]
    quantity: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many numbers there are, by groups and in all."""

    entries: tuple[CoverageEntry, ...] = ()
    quantity: int | None = None
    """In all, if the carrier says so."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """One rule about numbers of a country, or of one type of them when `number_type` says so."""

    country: str
    subject: str
    rule: str
    number_type: str | None = None
    nature: str | None = None
    """What kind of rule it is, in the carrier's word: LEGAL, SERVICE."""


@dataclass(frozen=True, slots=True)
class HeldNumber:
    """A number as the carrier has it on record. What it does not tell is None."""

    e164: E164
    status: str | None = None
    """The carrier's own word."""
    carrier_order_id: str | None = None
    """The order that brought it."""
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
    """Entries that are no numbers."""


# --- The market -------------------------------------------------------------------------------


class Market:
    """What one carrier answers. A carrier overrides the topics that it declares in `offers`; this one offers none.

    Every method returns a conversation, which ends in the answer.

    Raises, when it is held:
        InquiryRefused: The question breaks a rule; field and rule are named, and nothing has left.
        Declined: The carrier answered with a refusal.
        NoAnswer: It did not answer, or a gateway did.
        UnreadableAnswer: It answered what its documents do not describe.
    """

    offers: frozenset[Topic] = frozenset()

    def __init__(self, name: CarrierName) -> None:
        self.name = name

    def search(self, wanted: Search) -> Inquiry[Offers]:
        """Ask which numbers can be bought."""
        raise self._not_offered(Topic.SEARCH)

    def coverage(self, wanted: CountBy) -> Inquiry[Coverage]:
        """Ask how many numbers there are."""
        raise self._not_offered(Topic.COVERAGE)

    def restrictions(self, wanted: RulesOf) -> Inquiry[tuple[Restriction, ...]]:
        """Ask under which rules numbers are sold."""
        raise self._not_offered(Topic.RESTRICTIONS)

    def number(self, e164: E164) -> Inquiry[HeldNumber]:
        """Ask what is on record about one number."""
        raise self._not_offered(Topic.NUMBER)

    def numbers(self, wanted: InService) -> Inquiry[Holdings]:
        """Ask which numbers are ours."""
        raise self._not_offered(Topic.NUMBERS)

    def _not_offered(self, topic: Topic) -> InquiryRefused:
        offered = ", ".join(one for one in Topic if one in self.offers) or "no question that concerns no order"
        return InquiryRefused([Fault("carrier", f"{self.name} does not answer {topic}; it answers {offered}")])


SILENT: Final = Market(CarrierName("this carrier"))
"""Answers nothing beside orders."""
