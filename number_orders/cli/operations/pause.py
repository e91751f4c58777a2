"""Pauses and resumes lanes from the command line."""

from collections.abc import Sequence
from typing import Any, Final

from config.settings import Settings
from number_orders.cli.exits import ExitCode, Stop, print_error
from number_orders.cli.output import clean, screen
from number_orders.cli.services import open_ledger
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.pauses import Pause
from number_orders.orders.model import CarrierName, Lane

_LANES_TO_THE_CARRIER: Final = (Lane.SUBMIT, Lane.ASK)
"""The lanes of a pause without a lane: nothing goes to the carrier, and producers are still notified."""


async def pause_lanes(settings: Settings, carrier: str, lane: Lane | None, *, by: str, why: str) -> list[Pause]:
    """Pause one lane, or all that lead to the carrier; return the new pauses."""
    async with open_ledger(settings) as ledger:
        name = await _known_carrier(ledger, carrier)
        return await ledger.pauses.pause(name, _lanes(lane), by=by, why=why)


async def resume_lanes(settings: Settings, carrier: str, lane: Lane | None, *, by: str, why: str | None) -> list[Pause]:
    """Resume one lane, or all lanes of the carrier; return the pauses that ended."""
    async with open_ledger(settings) as ledger:
        name = await _known_carrier(ledger, carrier)
        return await ledger.pauses.resume(name, [lane] if lane else list(Lane), by=by, why=clean(why) or None)


def show_pauses(pauses: Sequence[Pause]) -> None:
    """Print one line for each pause that began or ended."""
    for each in pauses:
        word = "resumed" if each.resumed_at else "paused"
        more = f" ({clean(each.resumed_why)})" if each.resumed_why else ""
        screen().print(f"{word} {each.carrier} {each.lane}, paused by {clean(each.paused_by)}: {clean(each.why)}{more}")


def pauses_to_json(pauses: Sequence[Pause]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [{name: getattr(each, name) for name in Pause.__slots__} for each in pauses]


def exit_code(pauses: Sequence[Pause], otherwise: str) -> ExitCode:
    """Return the exit code; print the error `otherwise` if nothing changed."""
    if not pauses:
        print_error(otherwise)
    return ExitCode.DONE if pauses else ExitCode.NO


def _lanes(lane: Lane | None) -> Sequence[Lane]:
    return [lane] if lane else _LANES_TO_THE_CARRIER


async def _known_carrier(ledger: Ledger, carrier: str) -> CarrierName:
    known = await ledger.schedule.carriers()
    if (name := CarrierName(carrier)) not in known:
        message = f"no worker here has ever worked for a carrier {clean(carrier)!r}"
        raise Stop(ExitCode.NO, message, hint=f"it is one of: {', '.join(known) or 'none yet; start a worker'}")
    return name
