"""Says what holds work back beside its schedule: a pause, a limit, or a carrier that is out of reach."""

from collections.abc import Sequence
from datetime import datetime

from number_orders.ledger.pauses import HeldBy, Hold
from number_orders.story import times


def hold_text(hold: Hold, now: datetime) -> str:
    """Return one hold in a few words."""
    why = f": {hold.why}" if hold.why else ""
    until = f"until {times.both(hold.until, now)}" if hold.until else "until it is resumed"
    match hold.held_by:
        case HeldBy.PERSON:
            return f"paused by {hold.who} {times.when(hold.since or now, now)}, {until}{why}"
        case HeldBy.BREAKER:
            return f"out of reach, left alone {until}{why}"
        case HeldBy.LIMIT:
            return f"wants no {hold.limit_group} requests {until}{why}"


def hold_lines(holds: Sequence[Hold], now: datetime) -> list[str]:
    """Return all holds, each with its carrier and lane."""
    return [f"{hold.carrier}{f' {hold.lane}' if hold.lane else ''}: {hold_text(hold, now)}" for hold in holds]
