"""Budgets: how many numbers a producer may order at once, in an hour and in a day, altogether and at one carrier.

Orders take their numbers when they are stored (`accept_orders` in `sql/intake.sql`); removals take none. An hour or a
day begins with the first order after the one before is over. An order that ends gives back what it has not bought, as
long as the hour or day in which it was accepted lasts. An order that its budget has parked takes its numbers when an
operator approves it, even if that exceeds the budget.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.orders.budget import Above, Span


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit to set. `numbers_max` None: no limit."""

    span: Span
    numbers_max: int | None
    carrier: str | None = None
    """None: at all carriers together."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit of a producer, and what is taken of it now."""

    producer: str
    carrier: str | None
    span: Span
    numbers_max: int | None
    above: Above
    is_default: bool
    """Nobody has set a limit of this producer."""
    taken: int | None
    """None for a limit of single orders."""
    until: datetime | None
    """When the hour or day is over; None if none has begun."""

    @property
    def left(self) -> int | None:
        """How many numbers may still be ordered; None: not limited."""
        return None if self.numbers_max is None else max(0, self.numbers_max - (self.taken or 0))


_LASTS: Final = {Span.HOUR: timedelta(hours=1), Span.DAY: timedelta(days=1)}


def drawn_on(allowances: Iterable[Allowance], carrier: str) -> list[Allowance]:
    """Return the limits that an order at this carrier draws on."""
    return [one for one in allowances if one.carrier in {None, carrier} and one.numbers_max is not None]


def find_exceeded(drawn: Iterable[Allowance], numbers: int) -> Allowance | None:
    """Return the limit that decides about an order which exceeds some, as intake chooses it; None if it fits."""
    exceeded = [one for one in drawn if one.left is not None and numbers > one.left]
    return min(exceeded, key=_in_order, default=None)


def why_exceeded(limit: Allowance, numbers: int, now: datetime) -> str:
    """Return in words how an order of so many numbers exceeds a limit, as intake says it."""
    at = f" at {limit.carrier}" if limit.carrier else ""
    if limit.span is Span.ORDER:
        return f"{numbers} numbers are more than {limit.numbers_max}, the most in an order{at}"
    until = limit.until or now + _LASTS[limit.span]
    default = ", the limit of producers for whom nobody has set one" if limit.is_default else ""
    return (
        f"{numbers} numbers are more than the {limit.left} left of {limit.numbers_max} per {limit.span}{at}"
        f" until {until:%Y-%m-%d %H:%M} UTC{default}"
    )


def _in_order(limit: Allowance) -> tuple[bool, bool, str, str]:
    return limit.above is Above.PARK, limit.span is not Span.ORDER, limit.carrier or "", limit.span


class Allowances:
    """Sets and reads the budgets of producers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_limits(self, producer: str, limits: Sequence[Limit], *, above: Above = Above.REFUSE) -> None:
        """Set limits of a producer. Others that it has stay; the default of the settings ends."""
        rows = [
            {"carrier": limit.carrier or "", "span": limit.span, "numbers_max": limit.numbers_max} for limit in limits
        ]
        await self._database.run("set_allowances", {"producer": producer, "limits": Jsonb(rows), "above": above})

    async def read(self, producer: str | None = None, *, numbers_per_hour: int | None = None) -> list[Allowance]:
        """Return the limits of a producer, or of all that have ordered or have one.

        Args:
            producer: Whose; None: everybody's.
            numbers_per_hour: The limit of producers for whom nobody has set one; None: no limit.
        """
        params = {"producer": producer, "numbers_per_hour": numbers_per_hour}
        return [_allowance(row) for row in await self._database.run("read_allowances", params)]

    async def forget_corrections(self) -> None:
        """Delete the corrections that count for nothing any more."""
        await self._database.run("forget_corrections", {})


def _allowance(row: Mapping[str, Any]) -> Allowance:
    return Allowance(
        producer=row["producer"],
        carrier=row["carrier"] or None,
        span=Span(row["span"]),
        numbers_max=row["numbers_max"],
        above=Above(row["above"]),
        is_default=row["is_default"],
        taken=row["taken"],
        until=row["until"],
    )
