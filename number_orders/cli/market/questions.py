"""Puts one question to carriers, to all of them at once, and keeps what each answered or why it did not.

A carrier's failure is its own: the others' answers stand. Knows no question's content.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from config.settings import Settings
from number_orders.carriers.contract import Inquiry
from number_orders.carriers.market import Market, Topic
from number_orders.cli.discovery import look
from number_orders.cli.exits import Code, Stop, complain
from number_orders.cli.output import clean
from number_orders.orders.errors import Declined, Fault, FulfilmentError, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName
from number_orders.orders.numbers import E164, parse_e164
from workers.carriers import ConfiguredCarrier, configured_carriers

Told = TypeVar("Told")
Ask = Callable[[Market], Inquiry[Told]]

_CRITERION: Final = re.compile(r"\bcriteria\.([a-z_]+)")
_OPTION: Final = re.compile(r"^options\.(\w+)")
_WORST_FIRST: Final = (Code.OUT_OF_REACH, Code.NO, Code.USAGE)
SET_ONE_UP: Final = (
    "set a carrier's variables; `number-orders doctor` says which, `number-orders sandbox` is for practice"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a carrier gave no answer. With `faults` the question was not even sent."""

    code: Code
    words: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply(Generic[Told]):
    """What one carrier answered, or why it did not."""

    carrier: CarrierName
    answer: Told | None = None
    failure: Failure | None = None


Replies = Sequence[Reply[Told]]


def ask(topic: Topic, question: Ask[Told], *, carrier: str | None) -> Replies[Told]:
    """Put a question to one carrier, or to every one that answers its topic, and complain of those that failed.

    Raises:
        Stop: There is nobody to ask.
    """
    settings = look().settings
    replies = asyncio.run(_ask_each(chosen(settings, topic, carrier), question))
    for reply in replies:
        for line in _complaints(reply):
            complain(line)
    return replies


def chosen(settings: Settings, topic: Topic, carrier: str | None) -> Sequence[ConfiguredCarrier]:
    """Return whom to ask.

    Raises:
        Stop: No carrier is set up, the one that is named is not, or nobody answers this topic.
    """
    known = configured_carriers(settings)
    if not known:
        raise Stop(Code.OUT_OF_REACH, "no carrier is set up", mend=SET_ONE_UP)
    if carrier is not None:
        named = known.get(CarrierName(carrier))
        if named is None:
            raise Stop(Code.USAGE, f"--carrier: {clean(carrier)} is none of ours: {', '.join(sorted(known))}")
        return [named]
    able = [one for _, one in sorted(known.items()) if topic in one.market.offers]
    if not able:
        raise Stop(Code.NO, f"no carrier that is set up answers {topic}: {', '.join(sorted(known))}")
    return able


def code_of(replies: Replies[Told]) -> Code:
    """Return the exit code: the worst of what failed."""
    failed = {reply.failure.code for reply in replies if reply.failure}
    return next((code for code in _WORST_FIRST if code in failed), Code.DONE)


def options(pairs: Iterable[str]) -> Mapping[str, str]:
    """Read options that are written NAME=VALUE.

    Raises:
        Stop: One is not.
    """
    read = dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise Stop(Code.USAGE, f"--option: {clean(wrong[0])} is not NAME=VALUE")
    return read


def number(text: str) -> E164:
    """Read a number that was typed.

    Raises:
        Stop: It is none.
    """
    try:
        return parse_e164(text)
    except ValueError as wrong:
        raise Stop(Code.USAGE, f"{clean(text)} {wrong}") from wrong


def failures_to_json(replies: Replies[Told]) -> list[dict[str, object]]:
    """Return what failed for a machine."""
    return [
        {
            "carrier": reply.carrier,
            "exit_code": int(reply.failure.code),
            "words": clean(reply.failure.words),
            "faults": [{"field": fault.field, "rule": fault.rule} for fault in reply.failure.faults],
        }
        for reply in replies
        if reply.failure
    ]


async def _ask_each(carriers: Iterable[ConfiguredCarrier], question: Ask[Told]) -> Replies[Told]:
    return await asyncio.gather(*(_ask_one(carrier, question) for carrier in carriers))


async def _ask_one(carrier: ConfiguredCarrier, question: Ask[Told]) -> Reply[Told]:
    courier = carrier.courier()
    try:
        return Reply(carrier.adapter.name, answer=await courier.inquire(question(carrier.market)))
    except (InquiryRefused, Declined, NoAnswer, UnreadableAnswer) as trouble:
        return Reply(carrier.adapter.name, failure=_failure(trouble))
    finally:
        await courier.aclose()


def _failure(trouble: FulfilmentError) -> Failure:
    match trouble:
        case InquiryRefused():
            return Failure(Code.USAGE, str(trouble), trouble.faults)
        case Declined():
            return Failure(Code.NO, trouble.words)
        case UnreadableAnswer():
            return Failure(Code.OUT_OF_REACH, f"its answer cannot be read: {trouble.why}")
        case _:
            return Failure(Code.OUT_OF_REACH, f"no answer: {trouble}")


def _complaints(reply: Reply[Told]) -> list[str]:
    """Say why a carrier did not answer: a line, or one for each fault, in the words of the command line."""
    failure = reply.failure
    if failure is None:
        return []
    if not failure.faults:
        return [f"{reply.carrier}: {clean(failure.words)}"]
    return [f"{reply.carrier}: {_as_typed(fault)}" for fault in failure.faults]


def _as_typed(fault: Fault) -> str:
    """Write a fault with the options that were typed: `criteria.rate_center` is `--rate-center`."""
    field = _OPTION.sub(r"--option \1", fault.field)
    said = clean(f"{field if '.' in fault.field else '--' + field.replace('_', '-')}: {fault.rule}")
    return _CRITERION.sub(lambda found: f"--{found[1].replace('_', '-')}", said)
