"""Questions to several carriers at once: what each answered, or why it did not.

One carrier's failure does not affect the others' answers. Knows no question's content. The command line and the
receiver ask through this module.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from number_orders.carriers.contract import Adapter, Inquiry
from number_orders.carriers.http.courier import Courier
from number_orders.carriers.market import Coverage, CoverageEntry, Market, Topic
from number_orders.orders.errors import Declined, Fault, FulfilmentError, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName

Answer = TypeVar("Answer")
Ask = Callable[[Market], Inquiry[Answer]]


@dataclass(frozen=True, slots=True)
class Seller:
    """A carrier that can be asked: what it answers, and the connections to it."""

    adapter: Adapter
    market: Market
    courier: Courier

    @property
    def name(self) -> CarrierName:
        """The carrier's name."""
        return self.adapter.name


class FailureKind(StrEnum):
    """Why a carrier gave no answer."""

    REFUSED = "refused"
    """The question breaks a rule, and was not sent."""
    DECLINED = "declined"
    """The carrier refused to answer."""
    SILENT = "silent"
    """The carrier did not answer, or not readably."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a carrier gave no answer, in words. With `faults` the question was not sent."""

    kind: FailureKind
    words: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply(Generic[Answer]):
    """One carrier's answer, or why there is none."""

    carrier: CarrierName
    answer: Answer | None = None
    failure: Failure | None = None


Replies = Sequence[Reply[Answer]]


def choose(sellers: Mapping[CarrierName, Seller], topic: Topic, carrier: str | None) -> list[Seller]:
    """Return the named carrier, or every one that answers this topic.

    Raises:
        InquiryRefused: The named carrier is not set up, or none answers this topic.
    """
    known = ", ".join(sorted(sellers)) or "none is set up"
    if carrier is not None:
        chosen = sellers.get(CarrierName(carrier))
        if chosen is None:
            raise InquiryRefused([Fault("carrier", f"is not one of ours: {known}")])
        return [chosen]
    able = [seller for _, seller in sorted(sellers.items()) if topic in seller.market.offers]
    if not able:
        raise InquiryRefused([Fault("carrier", f"none of ours answers {topic}: {known}")])
    return able


async def ask_each(sellers: Iterable[Seller], question: Ask[Answer]) -> Replies[Answer]:
    """Ask all of them at once."""
    return await asyncio.gather(*(_ask(seller, question) for seller in sellers))


async def _ask(seller: Seller, question: Ask[Answer]) -> Reply[Answer]:
    try:
        return Reply(seller.name, answer=await seller.courier.inquire(question(seller.market)))
    except (InquiryRefused, Declined, NoAnswer, UnreadableAnswer) as trouble:
        return Reply(seller.name, failure=failure_of(trouble))


def failure_of(trouble: FulfilmentError) -> Failure:
    """Return why a carrier gave no answer."""
    match trouble:
        case InquiryRefused():
            return Failure(FailureKind.REFUSED, str(trouble), trouble.faults)
        case Declined():
            return Failure(FailureKind.DECLINED, trouble.words)
        case UnreadableAnswer():
            return Failure(FailureKind.SILENT, f"its answer cannot be read: {trouble.why}")
        case _:
            return Failure(FailureKind.SILENT, f"no answer: {str(trouble).removeprefix('no answer: ')}")


def answered(replies: Replies[Answer]) -> list[tuple[CarrierName, Answer]]:
    """Return the answers, each with its carrier."""
    return [(reply.carrier, reply.answer) for reply in replies if reply.answer is not None]


def coverage_entries(answer: Coverage) -> Iterable[CoverageEntry]:
    """Return the groups; without groups, one entry with the total."""
    return answer.entries or (() if answer.quantity is None else (CoverageEntry({}, answer.quantity),))


def entries_to_json(replies: Replies[Answer], entries: Callable[[Answer], Iterable[Any]]) -> list[dict[str, Any]]:
    """Return the entries of all answers as JSON values, each with its carrier."""
    return [{"carrier": carrier, **asdict(entry)} for carrier, answer in answered(replies) for entry in entries(answer)]
