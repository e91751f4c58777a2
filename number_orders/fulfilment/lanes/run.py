"""One turn at one lane: claim what is due, keep many conversations in the air, settle them as they land.

Knows nothing of what a conversation is about; that is the lane's (`fulfilment.lanes.submit`, `fulfilment.lanes.ask`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

import structlog

from number_orders.fulfilment.carrier import ConversationResult
from number_orders.fulfilment.lanes.circuit_breaker import CircuitBreaker
from number_orders.fulfilment.lanes.presence import LanePresence
from number_orders.fulfilment.lanes.rate import LedgerClock, Pace
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.ledger import Claim, Claims, Ledger, Receipt
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane, Order, OrderId

log = structlog.get_logger(__name__)

LANE_RUN_S: Final = 5.0
"""How long a stint goes on claiming. After that the bell is rung for what is left, so that every lane gets its turn."""

WRITTEN_LATE: Final = timedelta(seconds=1)
"""How far behind the last claim the next one begins to look. What is written down later than that, already due, is seen
by the next stint: each begins with a look at all there is."""

_AWAY_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""How long answers in hand are held while the ledger is away. What is lost after that is in doubt, and asked about."""

_PAUSE_S: Final = 0.1
"""How long the ledger is left alone after a claim that found less than there was room for: what falls due meanwhile is
claimed, begun and written together, and costs a fraction of what each would by itself."""

_GATHER_S: Final = 0.02
"""How long the first answer to land waits for others that are about to: they are written with one statement."""

_KEEPS_UP_S: Final = 1.0
"""How long every claim may find all it has room for before another child is called."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing was learnt of an order: look again."""

    order_id: OrderId
    not_before: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How one conversation went."""

    attempt: "Attempt"
    result: Heard | LookAgain
    held: ConversationResult
    receipts: Sequence[Receipt] = ()

    @property
    def claims(self) -> Claims:
        """What the order was claimed with."""
        return self.attempt.claims


@dataclass(frozen=True, slots=True)
class Attempt:
    """One claimed order on its way to the carrier. Clocks: `claimed_at` the event loop's, `claims.now` the ledger's."""

    claims: Claims
    claim: Claim
    order: Order
    claimed_at: float
    deadline: float
    """On the suspend-proof clock: the end of our right to send."""
    pace: Pace | None = None
    """For a carrier that takes only so many requests."""

    @property
    def now(self) -> datetime:
        """The ledger's time, as well as this machine can tell how much of it has passed since the claim."""
        return self.claims.now + timedelta(seconds=_clock() - self.claimed_at)


class LaneWork(Protocol):
    """What one lane does with a claimed order."""

    @property
    def carrier_name(self) -> CarrierName: ...

    @property
    def lane(self) -> Lane: ...

    @property
    def concurrency(self) -> int:
        """How many conversations it holds at once."""
        ...

    @property
    def lease(self) -> timedelta:
        """How long a claimed order is ours."""
        ...

    @property
    def right_to_send(self) -> timedelta:
        """How long after the claim a request may still leave."""
        ...

    async def begin(self, claims: Claims) -> Sequence[tuple[Claim, Order]]:
        """Write down that these are begun, and return those that are ours to carry on with."""
        ...

    async def run_attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Hold one conversation. Raises only what is a bug."""
        ...


class LaneRun:
    """Runs a lane for a while."""

    def __init__(
        self,
        work: LaneWork,
        ledger: Ledger,
        recorder: Recorder,
        breaker: CircuitBreaker,
        presence: LanePresence,
        *,
        boot_clock: Callable[[], float],
        ledger_clock: LedgerClock,
        lasts_s: float,
    ) -> None:
        self._work = work
        self._ledger = ledger
        self._recorder = recorder
        self._breaker = breaker
        self._presence = presence
        self._boot_clock = boot_clock
        self._ledger_clock = ledger_clock
        self._ends = _clock() + lasts_s
        self._next_claim = 0.0
        self._behind_since: float | None = None
        self._staying = False
        self._in_flight: set[asyncio.Task[AttemptOutcome]] = set()
        self._started = 0
        self._since: datetime | None = None

    async def run(self) -> bool:
        """Work until nothing is due or the stint is over; return whether more may be due."""
        self._presence.leaves()  # whoever has something to do, stays
        try:
            while self._in_flight or _clock() < self._ends:
                self._announce()
                found = await self._fill() if self._has_room() else None
                if self._in_flight:
                    await self._collect()
                elif found is False:
                    if not self._staying or _clock() >= self._ends:
                        return _clock() >= self._ends
                    self._leave()
                elif found is None:
                    # Where something was just now, more may come; to look again is cheaper than to be rung for.
                    await asyncio.sleep(max(self._next_claim - _clock(), 0.0))
            return True
        finally:
            if self._staying:
                self._presence.leaves()
            for task in self._in_flight:
                task.cancel()

    def _announce(self) -> None:
        """Let the others know whether they are needed."""
        behind_s = 0.0 if self._behind_since is None else _clock() - self._behind_since
        if behind_s >= _KEEPS_UP_S or _clock() >= self._ends:
            self._presence.calls()
        elif self._staying:
            self._presence.stays()

    def _leave(self) -> None:
        """From now on the bell is rung again; what came in before that, one last look finds."""
        self._presence.leaves()
        self._staying = False
        self._next_claim = 0.0
        self._since = None

    @property
    def started(self) -> int:
        """How many orders were begun or asked about."""
        return self._started

    def _has_room(self) -> bool:
        return self._has_seats() and self._next_claim <= _clock() < self._ends

    def _has_seats(self) -> bool:
        """Tell whether enough places are free to be worth a claim."""
        return self._work.concurrency - len(self._in_flight) >= max(1, self._work.concurrency // 4)

    async def _fill(self) -> bool:
        """Take off, if it can be done; without a ledger nothing more takes off, but what is in the air still lands."""
        try:
            return await self._start_attempts()
        except LedgerUnavailable as away:
            if not self._in_flight:
                raise
            log.warning("ledger_away", lane=self._work.lane.value, in_flight=len(self._in_flight), trouble=str(away))
            self._ends = _clock()
            return False

    async def _start_attempts(self) -> bool:
        """Claim and begin; return whether anything was due."""
        room = self._work.concurrency - len(self._in_flight)
        boot, claimed_at = self._boot_clock(), _clock()
        claims = await self._ledger.claim(
            self._work.carrier_name, self._work.lane, limit=room, lease=self._work.lease, since=self._since
        )
        if claims is None or len(claims.claims) < room:
            self._next_claim = _clock() + _PAUSE_S
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = claimed_at
        if claims is None:
            return False
        self._staying = True
        self._ledger_clock.learn(claims.clock, asked_at=boot, heard_at=self._boot_clock())
        deadline = boot + self._work.right_to_send.total_seconds()
        self._since = claims.reached - WRITTEN_LATE if claims.reached else None
        begun = await self._work.begin(claims)
        if claims.recovering and not begun:
            await self._ledger.return_probe(claims, self._work.carrier_name)
        for claim, order in begun:
            attempt = Attempt(claims, claim, order, claimed_at, deadline, self._pace(claim, deadline))
            self._in_flight.add(asyncio.create_task(self._work.run_attempt(attempt)))
            self._started += 1
        return True

    def _pace(self, claim: Claim, deadline: float) -> Pace | None:
        if claim.rate_slot_at is None or claim.limit_group is None:
            return None
        return Pace(
            ledger=self._ledger,
            carrier=self._work.carrier_name,
            group=claim.limit_group,
            ledger_clock=self._ledger_clock,
            clock=self._boot_clock,
            deadline=deadline,
            place=claim.rate_slot_at,
        )

    async def _collect(self) -> None:
        finished, self._in_flight = await asyncio.wait(
            self._in_flight, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED
        )
        if finished and self._in_flight:
            more, self._in_flight = await asyncio.wait(self._in_flight, timeout=_GATHER_S)
            finished |= more
        for task in finished:
            # Left to its lease, or to the question that stands in the ledger for it; the others run_attempt on.
            match task.exception():
                case None:
                    pass
                case LedgerUnavailable() as away:
                    log.warning("ledger_away", lane=self._work.lane.value, trouble=str(away))
                case error:
                    log.error("attempt_broke", lane=self._work.lane.value, exc_info=error)
        if whole := [task.result() for task in finished if not task.exception()]:
            await self._report_carrier(whole)
            await self._settle(whole)

    def _patience(self) -> float:
        """Return how long to wait for a landing before there may be something to claim, or to say."""
        if not self._has_seats() or _clock() >= self._ends:
            return _KEEPS_UP_S
        return max(self._next_claim - _clock(), 0.001)

    async def _settle(self, finished: Sequence[AttemptOutcome]) -> None:
        """Write down what came back, each thing once."""
        heard = [item.result for item in finished if isinstance(item.result, Heard)]
        if heard:
            now = max(item.attempt.now for item in finished)
            await self._written(finished, partial(self._recorder.hear, heard, now=now))
        for claims, later in _by_claims(finished):
            await self._written(finished, partial(self._ledger.postpone, claims, later))
        receipts = [receipt for item in finished for receipt in item.receipts]
        await self._written(finished, partial(self._ledger.keep_receipts, receipts))

    async def _written(self, finished: Sequence[AttemptOutcome], write: Callable[[], Awaitable[object]]) -> None:
        """Write. Answers are precious: a ledger that is away for a moment is waited for."""
        for wait_s in (*_AWAY_S, None):
            try:
                await write()
            except LedgerUnavailable as away:
                if wait_s is None:
                    raise
                log.warning("ledger_away", lane=self._work.lane.value, answers_held=len(finished), trouble=str(away))
                await asyncio.sleep(wait_s)
            else:
                return

    async def _report_carrier(self, finished: Sequence[AttemptOutcome]) -> None:
        """Let everybody know what the carrier said of its limits, and whether it could be reached at all."""
        try:
            for group, until, why in _limits_hit(finished):
                await self._ledger.pause_limit(self._work.carrier_name, group, until=until, why=why)
            await self._breaker.note(self._work.carrier_name, [(item.claims, item.held) for item in finished])
        except LedgerUnavailable as away:  # the answers in hand are worth more, and the next will say the same
            log.warning("carrier_state_not_recorded", carrier=self._work.carrier_name, trouble=str(away))


def _limits_hit(finished: Iterable[AttemptOutcome]) -> list[tuple[str, datetime, str]]:
    """Return the carrier's limits that were met, each with the latest moment that was given."""
    met: dict[str, datetime] = {}
    for item in finished:
        group, until = item.attempt.claim.limit_group, item.held.limited_until(item.attempt.now)
        if group and until:
            met[group] = max(until, met.get(group, until))
    return [(group, until, "HTTP 429: too many requests") for group, until in met.items()]


def _clock() -> float:
    """Return the event loop's own seconds, on which its timers go too: monotonic, or those of a simulated world."""
    return asyncio.get_running_loop().time()


def _by_claims(finished: Iterable[AttemptOutcome]) -> list[tuple[Claims, list[tuple[OrderId, datetime, str | None]]]]:
    groups: dict[int, tuple[Claims, list[tuple[OrderId, datetime, str | None]]]] = {}
    for item in finished:
        if isinstance(item.result, LookAgain):
            later = item.result
            _, entries = groups.setdefault(id(item.claims), (item.claims, []))
            entries.append((later.order_id, later.not_before, later.reason))
    return list(groups.values())
