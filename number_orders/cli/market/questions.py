"""Asks the configured carriers one question at once, and prints why one did not answer. Knows no question's content."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from config.settings import Settings
from number_orders.carriers.market import Topic
from number_orders.cli.discovery import discover
from number_orders.cli.exits import ExitCode, Stop, print_error
from number_orders.cli.output import clean
from number_orders.fulfilment.inquiries import Ask, FailureKind, Replies, Reply, Seller, ask_each
from number_orders.orders.errors import Fault
from number_orders.orders.model import CarrierName
from workers.carriers import ConfiguredCarrier, configured_carriers

Answer = TypeVar("Answer")

_CRITERION: Final = re.compile(r"\bcriteria\.([a-z_]+)")
_OPTION: Final = re.compile(r"^options\.(\w+)")
_WORST_FIRST: Final = (ExitCode.OUT_OF_REACH, ExitCode.NO, ExitCode.USAGE)
EXIT_CODES: Final[Mapping[FailureKind, ExitCode]] = {
    FailureKind.REFUSED: ExitCode.USAGE,
    FailureKind.DECLINED: ExitCode.NO,
    FailureKind.SILENT: ExitCode.OUT_OF_REACH,
}
SET_UP_HINT: Final = "set a carrier's variables, which `number-orders doctor` names; or try `number-orders sandbox`"


def ask(topic: Topic, question: Ask[Answer], *, carrier: str | None) -> Replies[Answer]:
    """Ask one carrier, or every one that answers this topic, and print an error for each failure.

    Raises:
        Stop: No carrier can be asked.
    """
    settings = discover().settings
    replies = asyncio.run(_ask_each(carriers_to_ask(settings, topic, carrier), question))
    for reply in replies:
        for line in error_lines(reply):
            print_error(line)
    return replies


def carriers_to_ask(settings: Settings, topic: Topic, carrier: str | None) -> Sequence[ConfiguredCarrier]:
    """Return the carriers to ask.

    Raises:
        Stop: No carrier is configured, the named one is not, or none answers this topic.
    """
    known = configured_carriers(settings)
    if not known:
        raise Stop(ExitCode.OUT_OF_REACH, "no carrier is set up", hint=SET_UP_HINT)
    if carrier is not None:
        chosen = known.get(CarrierName(carrier))
        if chosen is None:
            raise Stop(
                ExitCode.USAGE, f"--carrier: {clean(carrier)} is not set up here; these are: {', '.join(sorted(known))}"
            )
        return [chosen]
    able = [one for _, one in sorted(known.items()) if topic in one.market.offers]
    if not able:
        raise Stop(ExitCode.NO, f"none of the carriers that are set up answers {topic}: {', '.join(sorted(known))}")
    return able


def exit_code(replies: Replies[Answer]) -> ExitCode:
    """Return the exit code: done if any carrier answered, since failures are printed; otherwise the worst failure."""
    return ExitCode.DONE if any(reply.failure is None for reply in replies) else worst_failure(replies)


def worst_failure(replies: Replies[Answer]) -> ExitCode:
    """Return the exit code of the worst failure, also if other carriers answered."""
    failed = {EXIT_CODES[reply.failure.kind] for reply in replies if reply.failure}
    return next((code for code in _WORST_FIRST if code in failed), ExitCode.DONE)


def options(pairs: Iterable[str]) -> Mapping[str, str]:
    """Parse options that are written NAME=VALUE.

    Raises:
        Stop: One is not.
    """
    read = dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise Stop(ExitCode.USAGE, f"--option: {clean(wrong[0])} is not NAME=VALUE")
    return read


def failures_to_json(replies: Replies[Answer]) -> list[dict[str, object]]:
    """Return the failures as JSON."""
    return [
        {
            "carrier": reply.carrier,
            "exit_code": int(EXIT_CODES[reply.failure.kind]),
            "words": clean(reply.failure.words),
            "faults": [{"field": fault.field, "rule": fault.rule} for fault in reply.failure.faults],
        }
        for reply in replies
        if reply.failure
    ]


async def _ask_each(carriers: Iterable[ConfiguredCarrier], question: Ask[Answer]) -> Replies[Answer]:
    sellers = [Seller(carrier.adapter, carrier.market, carrier.courier()) for carrier in carriers]
    try:
        return await ask_each(sellers, question)
    finally:
        for seller in sellers:
            await seller.courier.aclose()


def error_lines(reply: Reply[Answer]) -> list[str]:
    """Return why a carrier did not answer: one line, or one for each fault with the option's name."""
    failure = reply.failure
    if failure is None:
        return []
    if not failure.faults:
        return [f"{reply.carrier}: {clean(failure.words)}"]
    return [f"{reply.carrier}: {_as_typed(fault)}" for fault in failure.faults]


def _as_typed(fault: Fault) -> str:
    """Name the options of a fault as they are typed: `criteria.rate_center` is `--rate-center`."""
    field = _OPTION.sub(r"--option \1", fault.field)
    text = clean(f"{field if '.' in fault.field else '--' + field.replace('_', '-')}: {fault.rule}")
    return _CRITERION.sub(lambda found: f"--{found[1].replace('_', '-')}", text)
