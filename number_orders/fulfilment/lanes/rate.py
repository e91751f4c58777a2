"""Hold a request back until its rate slot: it leaves in its slot, or takes a later one, or not at all.

A rate slot is a moment of the ledger's time. The claim gives the first, `take_rate_slot` one for every further request
of the conversation, and no two workers get the same. `LedgerClock` relates this process's clock to the ledger's. The
limits themselves are rows of the ledger. Reasons and figures: docs/adr/0011-places-in-a-rate.md.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from number_orders.carriers.contract import LimitPause
from number_orders.ledger.limits import Limit, RateSlot
from number_orders.orders.errors import NoAnswer
from number_orders.orders.model import CarrierName

LATE_MAX_S: Final = 0.04
"""How much later than its slot a request may leave. After that it takes another slot."""
TRANSIT_SPREAD_S: Final = 0.02
"""How much longer one request may travel to the carrier than another."""
_DRIFT: Final = 0.0005
"""How much a clock may gain or lose in a second: as much as one that is slewed."""
_VAGUE_S: Final = 0.25
"""With the ledger's time known no better than this, nobody can tell whether a slot is over: take another."""


def loop_time() -> float:
    """Return the event loop's seconds, which its timers use too."""
    return asyncio.get_running_loop().time()


def limit(group: str, per_second: float | None) -> Limit:
    """Return a limit such that the carrier, counting over any second, never counts more than `per_second`.

    Requests leave up to `LATE_MAX_S` after their slots, and their travel times differ by up to `TRANSIT_SPREAD_S`. So
    requests that arrive within one second have slots within one second plus both. That many slots lie in there, and no
    more.
    """
    if per_second is None:
        return Limit(group)
    return Limit(group, per_second, timedelta(seconds=(1 + LATE_MAX_S + TRANSIT_SPREAD_S) / per_second))


class LedgerClock:
    """How far the ledger's clock is ahead of this process's: lower and upper bound, from every reading of it."""

    def __init__(self) -> None:
        self._least = float("-inf")
        self._most = float("inf")
        self._learnt_at = float("-inf")

    def learn(self, ledger_time: datetime, *, asked_at: float, heard_at: float) -> None:
        """Narrow the bounds: the ledger read `ledger_time` at some moment between these two of our clock."""
        least, most = ledger_time.timestamp() - heard_at, ledger_time.timestamp() - asked_at
        drift = (heard_at - self._learnt_at) * _DRIFT
        least_of_both, most_of_both = max(least, self._least - drift), min(most, self._most + drift)
        if least_of_both > most_of_both:  # a clock was set
            least_of_both, most_of_both = least, most
        self._least, self._most, self._learnt_at = least_of_both, most_of_both, heard_at

    def at(self, moment: float) -> datetime | None:
        """Return the ledger's time at a moment of our clock, as well as it is known; None before the first reading."""
        ahead = (self._least + self._most) / 2
        return datetime.fromtimestamp(moment + ahead, UTC) if math.isfinite(ahead) else None

    def opens(self, slot: datetime) -> float:
        """Return the moment of our clock before which the slot has certainly not begun."""
        return slot.timestamp() - self._least

    def closes(self, slot: datetime) -> float:
        """Return the moment of our clock after which a request may be too late for the slot.

        With a ledger so far away that the bounds are wider than a slot, half the slot's time is left, or nothing would
        ever leave. After an answer that took much longer, as in a worker that was stopped meanwhile, none is left.
        """
        if self._most - self._least > _VAGUE_S:
            return slot.timestamp() + LATE_MAX_S - self._most
        return max(slot.timestamp() + LATE_MAX_S - self._most, self.opens(slot) + LATE_MAX_S / 2)


class RateSlots(Protocol):
    """Gives out rate slots."""

    async def take_rate_slot(self, carrier: CarrierName, group: str) -> RateSlot | None: ...


class LimitStore(RateSlots, Protocol):
    """Gives out rate slots, and stores the pauses that carriers want."""

    async def pause(self, carrier: CarrierName, group: str, *, until: datetime, why: str) -> None: ...


class Pauses:
    """The 429s that this process has had from one carrier, by limit group, for the conversations under way.

    A claim that is made after the ledger knew of a pause is the ledger's word that it is over, or was lifted.
    """

    def __init__(self) -> None:
        self._pauses: dict[str, LimitPause] = {}
        self._recorded_at: dict[str, float] = {}

    def note(self, group: str, pause: LimitPause) -> None:
        """Take down a pause. A shorter one does not cut a longer one."""
        self._pauses[group] = max(pause, self._pauses.get(group, pause), key=lambda one: one.ends_at)
        self._recorded_at.pop(group, None)

    def record(self, group: str, at: float) -> None:
        """Take down that the ledger knows of the pause since `at`, on the clock of the claims."""
        self._recorded_at[group] = at

    def current(self, group: str, *, claimed_at: float) -> LimitPause | None:
        """Return the pause that holds for a conversation about what was claimed then."""
        known_to_claim = claimed_at > self._recorded_at.get(group, float("inf"))
        return None if known_to_claim else self._pauses.get(group)


@dataclass(slots=True, kw_only=True)
class Unpaced:
    """The requests of one conversation that count against a limit without a rate. Only a 429 holds them back."""

    group: str
    pauses: Pauses = field(default_factory=Pauses)
    claimed_at: float = float("inf")

    def note_pause(self, pause: LimitPause) -> None:
        """Hold back what counts against the same limit in this process."""
        self.pauses.note(self.group, pause)

    def current_pause(self) -> LimitPause | None:
        """Return the pause that holds for this conversation."""
        return self.pauses.current(self.group, claimed_at=self.claimed_at)

    async def wait(self) -> float:
        """Return at once, with no end of the slot."""
        return float("inf")


@dataclass(slots=True, kw_only=True)
class Pace(Unpaced):
    """The rate slots of one conversation's requests. The first came with the claim."""

    slots: RateSlots
    carrier: CarrierName
    ledger_clock: LedgerClock
    clock: Callable[[], float]
    deadline: float
    """On `clock`: nothing leaves after it, so no later slot is worth taking."""
    slot: datetime | None

    async def wait(self) -> float:
        """Wait for the next slot, and return until when a request may leave in it, on `clock`.

        Raises:
            NoAnswer: There is no slot before the deadline, or the carrier has paused this limit.
            LedgerUnavailable: No slot can be had.
        """
        slot, self.slot = self.slot or await self._next(), None
        if slot is None:
            return float("inf")
        if (wait_s := self.ledger_clock.opens(slot) - self.clock()) > 0:
            await asyncio.sleep(wait_s)
        return self.ledger_clock.closes(slot)

    async def _next(self) -> datetime | None:
        asked_at = self.clock()
        given = await self.slots.take_rate_slot(self.carrier, self.group)
        if given is None:  # the limit has no rate any more
            return None
        self.ledger_clock.learn(given.clock, asked_at=asked_at, heard_at=self.clock())
        if given.paused_until and given.paused_until > given.clock:
            raise NoAnswer(f"the carrier wants no {self.group} requests now", not_before=given.paused_until)
        if self.ledger_clock.opens(given.at) >= self.deadline:
            raise NoAnswer(f"the carrier's limit {self.group} has no rate slot left in time", not_before=given.at)
        return given.at
