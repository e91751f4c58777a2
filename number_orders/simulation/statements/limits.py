"""The statements of `sql/limits.sql`."""

from datetime import UTC, datetime, timedelta
from typing import Final

from number_orders.simulation.statements.breakers import closed_breaker, ramp_spacing
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables

_NO_SLOT_TAKEN: Final = datetime(1970, 1, 1, tzinfo=UTC)


@statement
def set_limits(tables: Tables, p: Params) -> list[Row]:
    """Set one carrier's limit groups, and the group of its requests by lane and kind. Keep pauses in force."""
    carrier = p["carrier"]
    tables.breakers.setdefault(carrier, closed_breaker(carrier))
    began_at = tables.guard["began_at"]
    next_at = _NO_SLOT_TAKEN if began_at is None else began_at + timedelta(minutes=1)
    for given in p["limits"]:
        key = (carrier, given["limit_group"])
        row = tables.budgets.setdefault(
            key, {"carrier": carrier, "next_at": next_at, "paused_until": None, "why": None}
        )
        spacing = None if given["spacing_s"] is None else timedelta(seconds=given["spacing_s"])
        row.update(limit_group=given["limit_group"], per_second=given["per_second"], spacing=spacing)
    for known in [known for known in tables.limit_groups if known[0] == carrier]:
        del tables.limit_groups[known]
    tables.limit_groups.update({(carrier, given["lane"], given["kind"]): given["limit_group"] for given in p["groups"]})
    return []


@statement
def take_rate_slot(tables: Tables, p: Params) -> list[Row]:
    """Take the next rate slot, if the group has a rate or the carrier's breaker has closed lately."""
    now, row = tables.clock(), tables.budgets.get((p["carrier"], p["limit_group"]))
    spacing = row and spacing_now(row, ramp_spacing(tables.breakers.get(p["carrier"]), now))
    if not row or not spacing:
        return []
    rate_slot_at = max(row["next_at"], now)
    row["next_at"] = rate_slot_at + spacing
    recognised = tables.guard["identity"] == tables.ledger_identity
    paused_until = row["paused_until"] if recognised else now + timedelta(seconds=1)
    return [{"rate_slot_at": rate_slot_at, "clock": now, "paused_until": paused_until}]


def spacing_now(budget: Row, ramp: timedelta | None) -> timedelta | None:
    """Return the time between two rate slots of a group; None if it has no rate now."""
    return max((spacing for spacing in (budget["spacing"], ramp) if spacing), default=None)


@statement
def pause_limit(tables: Tables, p: Params) -> list[Row]:
    """Pause a limit group; of two pauses the longer one stays."""
    row = tables.budgets.get((p["carrier"], p["limit_group"]))
    if row is not None and (row["paused_until"] is None or row["paused_until"] < p["until"]):
        row.update(paused_until=p["until"], why=p["why"])
    return []
