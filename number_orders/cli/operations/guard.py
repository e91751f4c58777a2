"""The command `guard`: show, begin and end the guard period after the ledger fell back in time."""

from datetime import timedelta
from typing import Any

from config.settings import Settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.operations.switch import Switch
from number_orders.cli.output import clean
from number_orders.cli.services import open_ledger
from number_orders.ledger.guard import GuardPeriod
from number_orders.story.times import both


async def read_guard(settings: Settings) -> GuardPeriod:
    """Return the latest guard period."""
    async with open_ledger(settings) as ledger:
        return await ledger.guard.read()


async def switch_guard(settings: Settings, switch: Switch, *, who: str, why: str) -> GuardPeriod:
    """Begin or end a guard period.

    Raises:
        Stop: It is to be ended, and there is none.
    """
    async with open_ledger(settings) as ledger:
        if switch is Switch.ON:
            return await ledger.guard.begin(timedelta(seconds=settings.guard_s), who=who, why=why)
        ended = await ledger.guard.end(who=who, why=why)
        if ended is None:
            raise Stop(ExitCode.NO, "there is no guard period to end")
        return ended


def guard_line(period: GuardPeriod) -> str:
    """Describe the guard in one line."""
    if period.began_at is None or period.ends_at is None:
        return "no guard period: the ledger has not fallen back in time"
    because = f"{clean(period.who)}: {clean(period.why)}"
    if not period.is_active:
        return f"no guard period; the last ended {both(period.ends_at, period.now)}; {because}"
    return f"until {both(period.ends_at, period.now)} every order is looked for before it is sent; {because}"


def guard_to_json(period: GuardPeriod) -> dict[str, Any]:
    """Return the guard period as JSON."""
    return {
        "active": period.is_active,
        "began_at": period.began_at,
        "ends_at": period.ends_at,
        "last_heartbeat_at": period.seen_at,
        "who": period.who,
        "why": period.why,
    }
