"""One run of one lane: claim due work, keep many conversations in flight, record the results in groups.

Knows nothing of what a conversation is about: that is the lane's (`lanes.submit`, `lanes.ask`).

Uses three clocks:

- The event loop's (`loop_time`), in seconds: how long the run and its pauses last. Simulated in a simulated world.
- The ledger's (`Claims.now`, `Attempt.now`), as `datetime`: every moment that is stored.
- The boot clock (`boot_clock`), in seconds: until when a request may leave. It also counts while the machine sleeps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol

import structlog

from number_orders.fulfilment.carrier import TOO_MANY_REQUESTS, ConversationResult, log_requests
from number_orders.fulfilment.lanes.circuit_breaker import CircuitBreaker, ProbeStore
from number_orders.fulfilment.lanes.presence import LanePresence
from number_orders.fulfilment.lanes.rate import LedgerClock, LimitStore, Pace, Pauses, Unpaced, loop_time
from number_orders.fulfilment.lanes.shares import BEHIND_AFTER_S, LaneShares
from number_orders.fulfilment.observing import observing
from number_orders.fulfilment.ports import ReceiptStore, Tracer, WorkStore
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.history import Receipt
from number_orders.ledger.schedule import Claim, Claims, Later
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane, Order

log = structlog.get_logger(__name__)

LANE_RUN_S: Final = 5.0
"""How long a run claims. What is left then gets a wake-up, so that other lanes get a pool process in between."""

LOOK_BACK: Final = timedelta(seconds=1)
"""Each claim looks only at work that fell due since the last claimed work, minus this margin. Work recorded even later
is found by the next run, which first looks at everything."""

_RETRY_RECORD_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Pauses between tries to record answers while the ledger is away. If it stays away longer, the answers are dropped and
the carrier is asked instead."""

_CLAIM_PAUSE_S: Final = 0.1
"""Pause after a claim that found less than it could take. Work that falls due in this pause is claimed, begun and
recorded together, which is much cheaper."""

_GATHER_S: Final = 0.02
"""How long the first finished conversation waits for others, so that one statement records them all."""

_CALL_ANOTHER_AFTER_S: Final = 1.0
"""How long claims may keep coming back full before another pool process is called."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One conversation about one claimed order."""

    claims: Claims
    claim: Claim
    order: Order
    claimed_at: float
    """On the event loop's clock."""
    deadline: float
    """When the right to send ends, on the boot clock."""
    pace: Unpaced | None = None
    """The carrier's limit that counts the requests, with its rate if it has one."""

    @property
    def now(self) -> datetime:
        """The ledger's time, as this machine estimates it: the time of the claim, plus what has passed here since."""
        return self.claims.now + timedelta(seconds=loop_time() - self.claimed_at)


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How one attempt ended."""

    attempt: Attempt
    result: Heard | Later
    conversation: ConversationResult
    receipts: Sequence[Receipt] = ()

    @property
    def claims(self) -> Claims:
        """The claims that brought the order."""
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
        """Record that work on the claimed orders begins; return those that an attempt is to be started for."""
        ...

    async def run_attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Hold one conversation. Raises only LedgerUnavailable, and what is a bug."""
        ...


class LaneRunStores(Protocol):
    """The parts of the ledger that a lane run uses."""

    @property
    def schedule(self) -> WorkStore: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def breakers(self) -> ProbeStore: ...
    @property
    def history(self) -> ReceiptStore: ...


class _ClaimResult(Enum):
    """How one look for work ended."""

    CLAIMED = auto()
    """Something was due, and is claimed. Perhaps none of it could be begun."""
    NOTHING_DUE = auto()
    NOT_TRIED = auto()
    """No claim was made: it is not time for the next one yet, or there is no capacity."""


class LaneRun:
    """Runs one lane for a few seconds, or for as long as there is work in flight."""

    def __init__(
        self,
        work: LaneWork,
        ledger: LaneRunStores,
        recorder: Recorder,
        breaker: CircuitBreaker,
        presence: LanePresence,
        shares: LaneShares,
        *,
        boot_clock: Callable[[], float],
        ledger_clock: LedgerClock,
        pauses: Pauses,
        lasts_s: float,
        tracer: Tracer | None = None,
    ) -> None:
        self._work = work
        self._ledger = ledger
        self._recorder = recorder
        self._breaker = breaker
        self._presence = presence
        self._shares = shares
        self._boot_clock = boot_clock
        self._ledger_clock = ledger_clock
        self._pauses = pauses
        self._tracer = tracer
        self._ends_at = loop_time() + lasts_s
        self._next_claim_at = 0.0
        self._full_since: float | None = None
        """Since when every claim has come back full; None if the last one did not."""
        self._holds_off_wake_ups = False
        """Whether this run has found work, and therefore announces that the lane needs no wake-ups."""
        self._in_flight: set[asyncio.Task[AttemptOutcome]] = set()
        self._started = 0
        self._look_from: datetime | None = None
        """The next claim looks only at work that fell due after this, in the ledger's time; None: at everything."""

    async def run(self) -> bool:
        """Work until nothing is due or the time is over; return whether more may be due."""
        self._presence.leave()  # new work needs a wake-up from now on, until `_announce` says otherwise
        try:
            while self._in_flight or not self._is_over():
                self._announce()
                found = await self._fill() if self._may_claim() else _ClaimResult.NOT_TRIED
                if self._in_flight:
                    await self._collect()
                elif found is _ClaimResult.NOTHING_DUE:
                    if not self._holds_off_wake_ups or self._is_over():
                        return self._is_over()
                    self._accept_wake_ups()
                elif found is _ClaimResult.NOT_TRIED:
                    # There was work a moment ago, so more may come. Looking again is cheaper than a wake-up.
                    await asyncio.sleep(max(self._next_claim_at - loop_time(), 0.0))
            return True
        finally:
            self._shares.note(self._work.carrier_name, self._work.lane, is_behind=False)
            if self._holds_off_wake_ups:
                self._presence.leave()
            for task in self._in_flight:
                task.cancel()

    @property
    def started(self) -> int:
        """How many attempts were started."""
        return self._started

    def _is_over(self) -> bool:
        """Return whether the time for claims is over."""
        return loop_time() >= self._ends_at

    def _announce(self) -> None:
        """Tell the other pool processes whether this lane needs one more."""
        if self._full_s() >= _CALL_ANOTHER_AFTER_S or self._is_over():
            self._presence.call_another()
        elif self._holds_off_wake_ups:
            self._presence.announce()

    def _accept_wake_ups(self) -> None:
        """Ask for wake-ups again, and let the next claim look at once for everything that came in before."""
        self._presence.leave()
        self._holds_off_wake_ups = False
        self._next_claim_at = 0.0
        self._look_from = None

    def _may_claim(self) -> bool:
        return self._has_capacity() and self._next_claim_at <= loop_time() and not self._is_over()

    def _has_capacity(self) -> bool:
        """Return whether enough conversations may be added to be worth a claim."""
        return self._capacity() >= max(1, self._work.concurrency // 4)

    def _capacity(self) -> int:
        """Return how many conversations may be added."""
        return self._shares.concurrency(self._work.lane, self._work.concurrency) - len(self._in_flight)

    def _full_s(self) -> float:
        """Return for how many seconds claims have come back full."""
        return 0.0 if self._full_since is None else loop_time() - self._full_since

    async def _fill(self) -> _ClaimResult:
        """Claim work and start attempts. If the ledger is away, start none, and end the run with those in flight.

        Raises:
            LedgerUnavailable: The ledger is away, and nothing is in flight.
        """
        try:
            return await self._start_attempts()
        except LedgerUnavailable as away:
            if not self._in_flight:
                raise
            log.warning("ledger_away", lane=self._work.lane.value, in_flight=len(self._in_flight), trouble=str(away))
            self._ends_at = loop_time()
            return _ClaimResult.NOTHING_DUE

    async def _start_attempts(self) -> _ClaimResult:
        capacity = self._capacity()
        boot_time, claimed_at = self._boot_clock(), loop_time()
        claimed = await self._ledger.schedule.claim(
            self._work.carrier_name, self._work.lane, limit=capacity, lease=self._work.lease, since=self._look_from
        )
        if claimed is None or len(claimed.claims) < capacity:
            self._next_claim_at = loop_time() + _CLAIM_PAUSE_S
            self._full_since = None
        elif self._full_since is None:
            self._full_since = claimed_at
        is_behind = self._full_s() >= BEHIND_AFTER_S
        self._shares.note(self._work.carrier_name, self._work.lane, is_behind=is_behind)
        if claimed is None:
            return _ClaimResult.NOTHING_DUE
        self._holds_off_wake_ups = True
        self._ledger_clock.learn(claimed.clock, asked_at=boot_time, heard_at=self._boot_clock())
        deadline = boot_time + self._work.right_to_send.total_seconds()
        self._look_from = claimed.reached - LOOK_BACK if claimed.reached else None
        begun = await self._work.begin(claimed)
        if claimed.recovering and not begun:
            await self._ledger.breakers.return_probe(claimed, self._work.carrier_name)
        for claim, order in begun:
            attempt = Attempt(claimed, claim, order, claimed_at, deadline, self._pace(claim, boot_time, deadline))
            self._in_flight.add(asyncio.create_task(self._work.run_attempt(attempt)))
            self._started += 1
        return _ClaimResult.CLAIMED

    def _pace(self, claim: Claim, claimed_at: float, deadline: float) -> Unpaced | None:
        if claim.limit_group is None:
            return None
        if claim.rate_slot_at is None:
            return Unpaced(group=claim.limit_group, pauses=self._pauses, claimed_at=claimed_at)
        return Pace(
            slots=self._ledger.limits,
            carrier=self._work.carrier_name,
            group=claim.limit_group,
            ledger_clock=self._ledger_clock,
            clock=self._boot_clock,
            deadline=deadline,
            slot=claim.rate_slot_at,
            pauses=self._pauses,
            claimed_at=claimed_at,
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
            # A failed attempt does not stop the others. Its order is picked up again when its lease or its question
            # falls due.
            match task.exception():
                case None:
                    pass
                case LedgerUnavailable() as away:
                    log.warning("ledger_away", lane=self._work.lane.value, trouble=str(away))
                case error:
                    log.error("attempt_broke", lane=self._work.lane.value, exc_info=error)
        if outcomes := [task.result() for task in finished if not task.exception()]:
            for outcome in outcomes:
                log_requests(outcome.attempt.order.order_id, outcome.conversation)
                self._trace(outcome)
            await self._report_carrier(outcomes)
            await self._record(outcomes)

    def _trace(self, outcome: AttemptOutcome) -> None:
        if self._tracer is None:
            return
        result = outcome.result
        with observing(self._tracer):
            self._tracer.on_attempt(
                outcome.attempt.order,
                self._work.lane,
                took=timedelta(seconds=loop_time() - outcome.attempt.claimed_at),
                exchanges=outcome.conversation.exchanges,
                end=type(result.event).__name__ if isinstance(result, Heard) else f"Later: {result.reason}",
            )

    def _collect_timeout(self) -> float:
        """Return how long to wait for attempts to finish before this run may have to claim or to announce something."""
        if not self._has_capacity() or self._is_over():
            return _CALL_ANOTHER_AFTER_S
        return max(self._next_claim_at - loop_time(), 0.001)

    async def _record(self, outcomes: Sequence[AttemptOutcome]) -> None:
        """Record events, postponements and receipts."""
        heard = [outcome.result for outcome in outcomes if isinstance(outcome.result, Heard)]
        if heard:
            now = max(outcome.attempt.now for outcome in outcomes)
            await self._write(outcomes, partial(self._recorder.hear, heard, now=now))
        for write, looked in ((self._ledger.schedule.postpone, True), (self._ledger.schedule.put_off, False)):
            for claims, later in _later_by_claims(outcomes, looked=looked):
                await self._write(outcomes, partial(write, claims, later))
        receipts = [receipt for outcome in outcomes for receipt in outcome.receipts]
        await self._write(outcomes, partial(self._ledger.history.keep_receipts, receipts))

    async def _write(self, outcomes: Sequence[AttemptOutcome], write: Callable[[], Awaitable[object]]) -> None:
        """Write; while the ledger is away, keep the answers and try again.

        Raises:
            LedgerUnavailable: It was away for longer than `_RETRY_RECORD_S`.
        """
        for wait_s in (*_RETRY_RECORD_S, None):
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
        """Store for all workers which limits the carrier says are used up, and whether it could be reached."""
        try:
            for group, until, why in _limits_hit(outcomes):
                await self._ledger.limits.pause(self._work.carrier_name, group, until=until, why=why)
                self._pauses.record(group, self._boot_clock())
            results = [(outcome.claims, outcome.conversation) for outcome in outcomes]
            await self._breaker.report(self._work.carrier_name, results)
        except LedgerUnavailable as away:  # recording the answers matters more; later answers will report it again
            log.warning("carrier_state_not_recorded", carrier=self._work.carrier_name, trouble=str(away))


def _limits_hit(outcomes: Iterable[AttemptOutcome]) -> list[tuple[str, datetime, str]]:
    """Return the limit groups that were answered with "too many requests", each with the latest moment given."""
    hit: dict[str, datetime] = {}
    for outcome in outcomes:
        group = outcome.attempt.claim.limit_group
        until = outcome.conversation.limited_until(outcome.attempt.now)
        if group and until:
            hit[group] = max(until, hit.get(group, until))
    return [(group, until, TOO_MANY_REQUESTS) for group, until in hit.items()]


def _later_by_claims(outcomes: Iterable[AttemptOutcome], *, looked: bool) -> list[tuple[Claims, list[Later]]]:
    """Return what to postpone, grouped by the claims that brought it."""
    groups: dict[int, tuple[Claims, list[Later]]] = {}
    for outcome in outcomes:
        if isinstance(outcome.result, Later) and outcome.result.looked is looked:
            _, entries = groups.setdefault(id(outcome.claims), (outcome.claims, []))
            entries.append(outcome.result)
    return list(groups.values())
