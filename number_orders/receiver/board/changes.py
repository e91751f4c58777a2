"""What an operator does with lanes and alarms: pause, resume, put away. Only what stood on the page is changed.

A form may arrive late, or twice. So it names the pause or the alarm that the operator has seen, and nothing is done if
another has taken its place. A form that has done its work already is answered like the first time.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog

from number_orders.ledger.alarms import Alarms
from number_orders.ledger.pauses import Pause, Pauses
from number_orders.orders.model import CarrierName, Lane
from number_orders.receiver.board.actions import ActionRefused, read_reason
from number_orders.story import times
from number_orders.story.text import clean

log = structlog.get_logger(__name__)

_ID_DIGITS: Final = 18
"""Ids in forms have at most so many digits, which PostgreSQL's bigint takes."""
_COUNT_MAX: Final = 2**31 - 1


async def pause_lane(
    pauses: Pauses, carrier: CarrierName, lane: Lane, fields: Mapping[str, str], *, by: str, now: datetime
) -> None:
    """Pause a lane, unless it was paused by somebody since the operator looked.

    Raises:
        ActionRefused: It was, or a field is missing, or there is no such lane.
    """
    why, seen = read_reason(fields), _number(fields, "pause_id")
    if await pauses.pause(carrier, [lane], by=by, why=why, after=seen):
        log.info("board_lane", carrier=carrier, lane=lane.value, change="pause", by=by)
        return
    latest = await pauses.latest(carrier, lane)
    if latest is None:
        raise ActionRefused(f"There is no lane {clean(carrier)} {lane}. Nothing was done.")
    if latest.pause_id > seen and latest.resumed_at is None and (latest.paused_by, latest.why) == (by, why):
        return
    raise ActionRefused(f"{_how_it_stands(latest, now)} Look at the lane again. Nothing was done.")


async def resume_lane(
    pauses: Pauses, carrier: CarrierName, lane: Lane, fields: Mapping[str, str], *, by: str, now: datetime
) -> None:
    """End the pause that the operator has seen.

    Raises:
        ActionRefused: It is over already, or a field is missing.
    """
    why, seen = read_reason(fields), _number(fields, "pause_id")
    if await pauses.resume(carrier, [lane], by=by, why=why, pause_id=seen):
        log.info("board_lane", carrier=carrier, lane=lane.value, change="resume", by=by)
        return
    latest = await pauses.latest(carrier, lane)
    if latest is None:
        raise ActionRefused(f"{clean(carrier)} {lane} was never paused. Nothing was done.")
    if (latest.pause_id, latest.resumed_by, latest.resumed_why) == (seen, by, why):
        return
    raise ActionRefused(f"{_how_it_stands(latest, now)} Look at the lane again. Nothing was done.")


async def put_away(alarms: Alarms, alarm_id: int, fields: Mapping[str, str], *, by: str, now: datetime) -> None:
    """Clear an alarm until it happens again, unless it has happened again since the operator looked.

    Raises:
        ActionRefused: It has, or somebody else has cleared it, or it is gone, or a field is missing.
    """
    seen = _number(fields, "times", at_most=_COUNT_MAX)
    for alarm in await alarms.clear([alarm_id], by=by, times=seen):
        log.info("alarm_cleared", alarm=alarm["what"], subject=alarm["subject"], by=by)
        return
    found = await alarms.read(alarm_id)
    if found is None:
        raise ActionRefused("The alarm is gone: its cause is over. Nothing was done.")
    name = f"The alarm {found['what']} about {clean(found['subject'])}"
    if found["cleared_at"] is None:
        when = times.when(found["last_at"], now)
        raise ActionRefused(f"{name} has happened again {when}. Look at it again. Nothing was done.")
    if (found["cleared_by"], found["times"]) != (by, seen):
        who, when = clean(found["cleared_by"] or "somebody"), times.when(found["cleared_at"], now)
        raise ActionRefused(f"{name} was put away by {who} {when}. Nothing was done.")


def _how_it_stands(pause: Pause, now: datetime) -> str:
    """Return what became of a lane."""
    lane = f"{clean(pause.carrier)} {pause.lane}"
    if pause.resumed_at is None:
        return f"{lane} was paused by {clean(pause.paused_by)} {times.when(pause.paused_at, now)}: {clean(pause.why)}."
    return f"{lane} was resumed by {clean(pause.resumed_by or '')} {times.when(pause.resumed_at, now)}."


def _number(fields: Mapping[str, str], name: str, *, at_most: int = 10**_ID_DIGITS) -> int:
    """Return a number that our page has put into the form.

    Raises:
        ActionRefused: It is missing or none.
    """
    text = fields.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS and int(text) <= at_most):
        raise ActionRefused("The form does not say what you saw. Load the page again. Nothing was done.")
    return int(text)
