"""One run of one lane: claim due work, keep many conversations in flight, record the results in groups.

Knows nothing of what a conversation is about: that is the lane's (`lanes.submit`, `lanes.ask`).
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
from number_orders.fulfilment.lanes.rate import LedgerClock, Pace, RateSlots
from number_orders.fulfilment.ports import ReceiptStore, WorkStore
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.history import Receipt
from number_orders.ledger.schedule import Claim, Claims
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane, Order, OrderId

log = structlog.get_logger(__name__)

LANE_RUN_S: Final = 5.0
"""How long a run goes on claiming. After that it sends a wake-up for what is left, so that other lanes get a child."""

WRITTEN_LATE: Final = timedelta(seconds=1)
"""How far behind the last claim the next one starts to look. Work that is written later than that, and already due, is
found by the next run: each begins with a look at everything."""

_RETRY_WRITE_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Pauses between attempts to write answers while the ledger is away. An answer that is lost after that is asked for."""

_CLAIM_PAUSE_S: Final = 0.1
"""Pause after a claim that found less than it could take. What falls due meanwhile is claimed, begun and written
together, at a fraction of what each would cost by itself."""

_GATHER_S: Final = 0.02
"""How long the first finished conversation waits for others, to be written with one statement."""

_BEHIND_S: Final = 1.0
"""How long every claim may find as much as it can take before another child is called."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing new was heard of an order: look again at `not_before`."""

    order_id: OrderId
    not_before: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One conversation about one claimed order. `claimed_at` is the event loop's time, `claims.now` the ledger's."""

    claims: Claims
    claim: Claim
    order: Order
    claimed_at: float
    deadline: float
    """When our right to send ends, on the clock that also counts while the machine sleeps."""
    pace: Pace | None = None
    """For a carrier with a rate limit."""

    @property
    def now(self) -> datetime:
        """The ledger's time, as far as this machine can tell how much has passed since the claim."""
        return self.claims.now + timedelta(seconds=_clock() - self.claimed_at)


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How one attempt ended."""

    attempt: Attempt
    result: Heard | LookAgain
    conversation: ConversationResult
    receipts: Sequence[Receipt] = ()

    @property
    def claims(self) -> Claims:
        """The claims that the order came with."""
        return self.attempt.claims


class LaneWork(Protocol):
    """What one lane does with a claimed order."""

    @property
    def carrier_name(self) -> CarrierName: ...

    @property
    def lane(self) -> Lane: ...

    @property
    def concurrency(self) -> int:
        """How many conversations may be in flight."""
        ...

    @property
    def lease(self) -> timedelta:
        """How long a claim lasts."""
        ...

    @property
    def right_to_send(self) -> timedelta:
        """How long after the claim a request may still leave."""
        ...

    async def begin(self, claims: Claims) -> Sequence[tuple[Claim, Order]]:
        """Record that the claimed orders are begun, and return those to go on with."""
        ...

    async def run_attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Hold one conversation. Raises only what is a bug."""
        ...


class _ProbeStore(Protocol):
    async def return_probe(self, claims: Claims, carrier: CarrierName) -> None: ...


class _LimitStore(RateSlots, Protocol):
    async def pause(self, carrier: CarrierName, group: str, *, until: datetime, why: str) -> None: ...


class LaneRunStores(Protocol):
    """The parts of the ledger that a lane run uses."""

    @property
    def schedule(self) -> WorkStore: ...
    @property
    def limits(self) -> _LimitStore: ...
    @property
    def breakers(self) -> _ProbeStore: ...
    @property
    def history(self) -> ReceiptStore: ...


class LaneRun:
    """Runs one lane for a few seconds, or for as long as there is work in flight."""

    def __init__(
        self,
        work: LaneWork,
        ledger: LaneRunStores,
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
        self._present = False
        self._in_flight: set[asyncio.Task[AttemptOutcome]] = set()
        self._started = 0
        self._since: datetime | None = None

    async def run(self) -> bool:
        """Work until nothing is due or the time is over; return whether more may be due."""
        self._presence.leave()  # a run that finds work announces itself below
        try:
            while self._in_flight or _clock() < self._ends:
                self._announce()
                found = await self._fill() if self._may_claim() else None
                if self._in_flight:
                    await self._collect()
                elif found is False:
                    if not self._present or _clock() >= self._ends:
                        return _clock() >= self._ends
                    self._leave()
                elif found is None:
                    # More may come where there was work a moment ago. To look again is cheaper than a wake-up.
                    await asyncio.sleep(max(self._next_claim - _clock(), 0.0))
            return True
        finally:
            if self._present:
                self._presence.leave()
            for task in self._in_flight:
                task.cancel()

    @property
    def started(self) -> int:
        """How many attempts were started."""
        return self._started

    def _announce(self) -> None:
        """Tell the other children whether this lane needs one more."""
        behind_s = 0.0 if self._behind_since is None else _clock() - self._behind_since
        if behind_s >= _BEHIND_S or _clock() >= self._ends:
            self._presence.call_another()
        elif self._present:
            self._presence.announce()

    def _leave(self) -> None:
        """Ask for wake-ups again, then look once more for what came in before that."""
        self._presence.leave()
        self._present = False
        self._next_claim = 0.0
        self._since = None

    def _may_claim(self) -> bool:
        return self._has_capacity() and self._next_claim <= _clock() < self._ends

    def _has_capacity(self) -> bool:
        """Tell whether enough conversations may be added to be worth a claim."""
        return self._work.concurrency - len(self._in_flight) >= max(1, self._work.concurrency // 4)

    async def _fill(self) -> bool:
        """Start attempts if possible. Without a ledger none is started, but those in flight are still collected."""
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
        capacity = self._work.concurrency - len(self._in_flight)
        boot, claimed_at = self._boot_clock(), _clock()
        claims = await self._ledger.schedule.claim(
            self._work.carrier_name, self._work.lane, limit=capacity, lease=self._work.lease, since=self._since
        )
        if claims is None or len(claims.claims) < capacity:
            self._next_claim = _clock() + _CLAIM_PAUSE_S
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = claimed_at
        if claims is None:
            return False
        self._present = True
        self._ledger_clock.learn(claims.clock, asked_at=boot, heard_at=self._boot_clock())
        deadline = boot + self._work.right_to_send.total_seconds()
        self._since = claims.reached - WRITTEN_LATE if claims.reached else None
        begun = await self._work.begin(claims)
        if claims.recovering and not begun:
            await self._ledger.breakers.return_probe(claims, self._work.carrier_name)
        for claim, order in begun:
            attempt = Attempt(claims, claim, order, claimed_at, deadline, self._pace(claim, deadline))
            self._in_flight.add(asyncio.create_task(self._work.run_attempt(attempt)))
            self._started += 1
        return True

    def _pace(self, claim: Claim, deadline: float) -> Pace | None:
        if claim.rate_slot_at is None or claim.limit_group is None:
            return None
        return Pace(
            slots=self._ledger.limits,
            carrier=self._work.carrier_name,
            group=claim.limit_group,
            ledger_clock=self._ledger_clock,
            clock=self._boot_clock,
            deadline=deadline,
            slot=claim.rate_slot_at,
        )

    async def _collect(self) -> None:
        """Wait for attempts to finish, and record those that did."""
        finished, self._in_flight = await asyncio.wait(
            self._in_flight, timeout=self._collect_timeout(), return_when=asyncio.FIRST_COMPLETED
        )
        if finished and self._in_flight:
            more, self._in_flight = await asyncio.wait(self._in_flight, timeout=_GATHER_S)
            finished |= more
        for task in finished:
            # A broken attempt is left to its lease, or to the question that the ledger owes. The others go on.
            match task.exception():
                case None:
                    pass
                case LedgerUnavailable() as away:
                    log.warning("ledger_away", lane=self._work.lane.value, trouble=str(away))
                case error:
                    log.error("attempt_broke", lane=self._work.lane.value, exc_info=error)
        if outcomes := [task.result() for task in finished if not task.exception()]:
            await self._report_carrier(outcomes)
            await self._record(outcomes)

    def _collect_timeout(self) -> float:
        """Return how long to wait for an attempt to finish before there may be something to claim or to announce."""
        if not self._has_capacity() or _clock() >= self._ends:
            return _BEHIND_S
        return max(self._next_claim - _clock(), 0.001)

    async def _record(self, outcomes: Sequence[AttemptOutcome]) -> None:
        """Write what came back, each thing once."""
        heard = [outcome.result for outcome in outcomes if isinstance(outcome.result, Heard)]
        if heard:
            now = max(outcome.attempt.now for outcome in outcomes)
            await self._write(outcomes, partial(self._recorder.hear, heard, now=now))
        for claims, later in _look_again_by_claims(outcomes):
            await self._write(outcomes, partial(self._ledger.schedule.postpone, claims, later))
        receipts = [receipt for outcome in outcomes for receipt in outcome.receipts]
        await self._write(outcomes, partial(self._ledger.history.keep_receipts, receipts))

    async def _write(self, outcomes: Sequence[AttemptOutcome], write: Callable[[], Awaitable[object]]) -> None:
        """Write, and wait for a ledger that is away for a moment: answers are precious."""
        for wait_s in (*_RETRY_WRITE_S, None):
            try:
                await write()
            except LedgerUnavailable as away:
                if wait_s is None:
                    raise
                log.warning("ledger_away", lane=self._work.lane.value, answers_held=len(outcomes), trouble=str(away))
                await asyncio.sleep(wait_s)
            else:
                return

    async def _report_carrier(self, outcomes: Sequence[AttemptOutcome]) -> None:
        """Report to all workers what the carrier said of its limits, and whether it could be reached."""
        try:
            for group, until, why in _limits_hit(outcomes):
                await self._ledger.limits.pause(self._work.carrier_name, group, until=until, why=why)
            results = [(outcome.claims, outcome.conversation) for outcome in outcomes]
            await self._breaker.report(self._work.carrier_name, results)
        except LedgerUnavailable as away:  # the answers in hand are worth more, and the next ones will say the same
            log.warning("carrier_state_not_recorded", carrier=self._work.carrier_name, trouble=str(away))


def _limits_hit(outcomes: Iterable[AttemptOutcome]) -> list[tuple[str, datetime, str]]:
    """Return the limits that answered "too many requests", each with the latest moment given."""
    hit: dict[str, datetime] = {}
    for outcome in outcomes:
        group = outcome.attempt.claim.limit_group
        until = outcome.conversation.limited_until(outcome.attempt.now)
        if group and until:
            hit[group] = max(until, hit.get(group, until))
    return [(group, until, "HTTP 429: too many requests") for group, until in hit.items()]


def _clock() -> float:
    """Return the event loop's seconds, which its timers use too: monotonic, or a simulated world's."""
    return asyncio.get_running_loop().time()


def _look_again_by_claims(
    outcomes: Iterable[AttemptOutcome],
) -> list[tuple[Claims, list[tuple[OrderId, datetime, str | None]]]]:
    groups: dict[int, tuple[Claims, list[tuple[OrderId, datetime, str | None]]]] = {}
    for outcome in outcomes:
        if isinstance(outcome.result, LookAgain):
            again = outcome.result
            _, entries = groups.setdefault(id(outcome.claims), (outcome.claims, []))
            entries.append((again.order_id, again.not_before, again.reason))
    return list(groups.values())
