"""Pauses and resumes lanes from the command line."""

from collections.abc import Sequence
from typing import Any, Final

from config.settings import Settings
from number_orders.cli.exits import Code, Stop, complain
from number_orders.cli.output import clean, screen
from number_orders.cli.services import open_ledger
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.pauses import Pause
from number_orders.orders.model import CarrierName, Lane

_TO_THE_CARRIER: Final = (Lane.SUBMIT, Lane.ASK)
"""What a pause without a lane means: nothing goes to the carrier. Producers are still told what is known."""


async def pause(settings: Settings, carrier: str, lane: Lane | None, *, by: str, why: str) -> list[Pause]:
    """Pause a lane, or all that goes to a carrier; return what was not paused yet."""
    async with open_ledger(settings) as ledger:
        name = await _known(ledger, carrier)
        return await ledger.pauses.pause(name, _lanes(lane), by=by, why=why)


async def resume(settings: Settings, carrier: str, lane: Lane | None, *, by: str, why: str | None) -> list[Pause]:
    """Let a lane, or every lane of a carrier, go on; return what was paused."""
    async with open_ledger(settings) as ledger:
        name = await _known(ledger, carrier)
        return await ledger.pauses.resume(name, [lane] if lane else list(Lane), by=by, why=clean(why) or None)


def show(pauses: Sequence[Pause]) -> None:
    """Print what was paused or resumed, one line each."""
    for each in pauses:
        word = "resumed" if each.resumed_at else "paused"
        more = f" ({clean(each.resumed_why)})" if each.resumed_why else ""
        screen().print(f"{word} {each.carrier} {each.lane}, paused by {clean(each.paused_by)}: {clean(each.why)}{more}")


def to_json(pauses: Sequence[Pause]) -> list[dict[str, Any]]:
    """Return the same for a machine."""
    return [{name: getattr(each, name) for name in Pause.__slots__} for each in pauses]


def code_of(pauses: Sequence[Pause], otherwise: str) -> Code:
    """Return the exit code; say `otherwise` when nothing has changed."""
    if not pauses:
        complain(otherwise)
    return Code.DONE if pauses else Code.NO


def _lanes(lane: Lane | None) -> Sequence[Lane]:
    return [lane] if lane else _TO_THE_CARRIER


async def _known(ledger: Ledger, carrier: str) -> CarrierName:
    known = await ledger.schedule.carriers()
    if (name := CarrierName(carrier)) not in known:
        message = f"no carrier {clean(carrier)!r} has ever been worked with here"
        raise Stop(Code.NO, message, mend=f"it is one of: {', '.join(known) or 'none yet; start a worker'}")
    return name
