"""Shows, makes, renews and removes the subscriptions to carriers' notices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from config.settings import PREFIX, Settings
from number_orders.carriers.subscriptions import Subscription, TakesSubscriptions
from number_orders.cli import output
from number_orders.cli.exits import ExitCode, Stop, print_error
from number_orders.cli.market.questions import EXIT_CODES, SET_UP_HINT
from number_orders.cli.operations.subscription_actions import Subscriptions
from number_orders.cli.output import clean, screen, write_json
from number_orders.cli.services import open_services
from number_orders.fulfilment.inquiries import failure_of
from number_orders.fulfilment.subscriptions import Done, Kept, NoSubscriptions, SubscriptionKeeper
from number_orders.orders.errors import Declined, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName
from number_orders.story import times
from workers.carriers import configured_carriers

_OURS: Final = "ours"
_OTHERS: Final = "not ours"


@dataclass(frozen=True, slots=True)
class Line:
    """One subscription, and what is or was done about it."""

    carrier: CarrierName
    topic: str | None
    done: str
    shown: Subscription | None


async def carry_out(settings: Settings, action: Subscriptions, carrier: str | None) -> tuple[list[Line], ExitCode]:
    """Carry out an action at one carrier, or each that takes subscriptions; print an error for each failure.

    Raises:
        Stop: No carrier takes subscriptions, or the settings want none there.
    """
    names, code = _carriers(settings, carrier), ExitCode.DONE
    lines: list[Line] = []
    async with open_services(settings) as services:
        for name in names:
            try:
                keeper = services.orders.subscription_keeper(name)
                lines += await _carried_out(name, keeper, action)
            except NoSubscriptions as none_wanted:
                hint = f"set {PREFIX}PUBLIC_URL and {PREFIX}{name.upper()}__NOTICE_PASSWORD (docs/notices.md)"
                raise Stop(ExitCode.USAGE, str(none_wanted), hint=hint) from None
            except (Declined, NoAnswer, UnreadableAnswer) as trouble:
                failure = failure_of(trouble)
                print_error(f"{name}: {clean(failure.words)}")
                code = EXIT_CODES[failure.kind]
    return lines, code


async def _carried_out(name: CarrierName, keeper: SubscriptionKeeper, action: Subscriptions) -> list[Line]:
    match action:
        case Subscriptions.LIST:
            found = await keeper.list()
            return [Line(name, one.topic, _OURS if keeper.is_ours(one) else _OTHERS, one) for one in found]
        case Subscriptions.RENEW:
            return [_line(name, kept) for kept in await keeper.keep(renew_all=True)]
        case Subscriptions.REMOVE:
            return [_line(name, kept) for kept in await keeper.remove()]


def _line(name: CarrierName, kept: Kept) -> Line:
    shown = kept.subscription if kept.done in {Done.LEFT, Done.REMOVED} else None  # the others have just changed
    return Line(name, kept.topic, kept.done, shown)


def _carriers(settings: Settings, carrier: str | None) -> list[CarrierName]:
    known = configured_carriers(settings)
    if not known:
        raise Stop(ExitCode.OUT_OF_REACH, "no carrier is set up", hint=SET_UP_HINT)
    if carrier is not None and carrier not in known:
        raise Stop(
            ExitCode.USAGE, f"--carrier: {clean(carrier)} is not set up here; these are: {', '.join(sorted(known))}"
        )
    able = [name for name, one in sorted(known.items()) if isinstance(one.adapter, TakesSubscriptions)]
    chosen = [name for name in able if carrier in {None, name}]
    if not chosen:
        raise Stop(ExitCode.NO, f"no subscriptions are taken by {carrier or ', '.join(sorted(known))}")
    return chosen


def show(lines: Sequence[Line]) -> None:
    """Print a table."""
    if lines:
        cells = [_cells(line) for line in lines]
        output.rows(screen(), ("CARRIER", "ABOUT", "SUBSCRIPTION", "EXPIRES IN", "LAST ANSWER", "DONE"), cells, whole=3)
    else:
        screen().print("there are none")


def write(lines: Sequence[Line]) -> None:
    """Print JSON."""
    write_json({"subscriptions": [_to_json(line) for line in lines]})


def _cells(line: Line) -> tuple[str, ...]:
    shown = line.shown
    if shown is None:
        return (line.carrier, clean(line.topic), "", "", "", line.done)
    about = clean(line.topic) if shown.order_id is None else f"{clean(line.topic)} {clean(shown.order_id)}"
    left = "" if shown.expires_in is None else times.span(shown.expires_in)
    return (line.carrier, about, clean(shown.subscription_id), left, clean(shown.status), line.done)


def _to_json(line: Line) -> dict[str, object]:
    shown = line.shown
    entry: dict[str, object] = {"carrier": line.carrier, "topic": clean(line.topic), "done": line.done}
    if shown is not None:
        entry |= {"subscription_id": clean(shown.subscription_id), "url": clean(shown.url)}
        entry |= {"order_id": shown.order_id and clean(shown.order_id), "status": clean(shown.status)}
        entry["expires_in_s"] = None if shown.expires_in is None else shown.expires_in.total_seconds()
    return entry
