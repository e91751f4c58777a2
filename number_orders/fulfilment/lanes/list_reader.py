"""Read long lists of one carrier, page by page, for every order that waits for them.

A reading is work of the lane `ask`: each run of that lane goes on with one, beside its conversations. The cursor of the
next page is in the ledger, so a run may end, or its worker die, after any page. Reasons and figures:
docs/adr/0014-lists-read-once-for-many.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from number_orders.carriers.contract import ListPage, ReadsLists
from number_orders.carriers.http.courier import exchanges_of
from number_orders.fulfilment.carrier import TOO_MANY_REQUESTS, Carrier, ConversationResult
from number_orders.fulfilment.lanes.circuit_breaker import BreakerStore, CircuitBreaker
from number_orders.fulfilment.lanes.rate import LedgerClock, LimitStore, Pace, loop_time
from number_orders.fulfilment.ports import AlarmStore, Clock
from number_orders.ledger.readings import ReadingLease
from number_orders.ledger.schedule import Claims
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import LedgerUnavailable, NoAnswer, Passing, UnreadableAnswer
from number_orders.orders.model import CarrierName, Kind, Lane
from number_orders.orders.numbers import ListedNumber

log = structlog.get_logger(__name__)

_FAULTS_TO_RESTART: Final = 3
"""After so many faults in a row the cursor may be what the carrier no longer accepts: read from the first page."""
_PAGES_MAX: Final = 100_000
"""A list that has more does not end."""


class ReadingStore(Protocol):
    """Hands readings out under leases, and stores their pages."""

    async def lease(self, carrier: CarrierName, *, lease: timedelta) -> ReadingLease | None: ...

    async def add_page(
        self, reading: ReadingLease, numbers: Sequence[ListedNumber], after: str | None, *, lease: timedelta
    ) -> ReadingLease | None: ...

    async def put_back(self, reading: ReadingLease, not_before: datetime | None = None) -> None: ...

    async def put_off(
        self, reading: ReadingLease, trouble: str, *, pause: timedelta, not_before: datetime | None, restart: bool
    ) -> None: ...


class ListReaderStores(Clock, Protocol):
    """The parts of the ledger that this reader uses."""

    @property
    def readings(self) -> ReadingStore: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def breakers(self) -> BreakerStore: ...
    @property
    def alarms(self) -> AlarmStore: ...


@dataclass(frozen=True, slots=True)
class ListReader:
    """Goes on with the readings of one carrier for a few seconds."""

    carrier: Carrier
    ledger: ListReaderStores
    boot_clock: Callable[[], float]
    ledger_clock: LedgerClock
    lasts_s: float

    async def run(self) -> bool:
        """Read until nothing is due or the time is over; return whether more may be due.

        What goes wrong here stops no conversation: the reading is due again when its lease runs out.
        """
        adapter = self.carrier.adapter
        if not isinstance(adapter, ReadsLists):
            return False
        try:
            return await self._read(adapter, ends_at=loop_time() + self.lasts_s)
        except LedgerUnavailable as away:
            log.warning("ledger_away", carrier=self._name, reading=True, trouble=str(away))
        except Exception as error:  # a bug in a reading must not stop the conversations beside it
            log.exception("reading_broke", carrier=self._name, exc_info=error)
        return False

    @property
    def _name(self) -> CarrierName:
        return self.carrier.adapter.name

    @property
    def _lease(self) -> timedelta:
        """The life of one request, and of the wait for its rate slot."""
        return 2 * self.carrier.policy.answer_within

    @property
    def _limit_group(self) -> str:
        return self.carrier.adapter.capabilities.limit_group(Lane.ASK, Kind.NEW_NUMBERS)

    async def _read(self, adapter: ReadsLists, *, ends_at: float) -> bool:
        has_read = False
        while loop_time() < ends_at and (reading := await self.ledger.readings.lease(self._name, lease=self._lease)):
            has_read = True
            pace = self._pace()
            while reading is not None:
                if loop_time() >= ends_at:
                    await self.ledger.readings.put_back(reading)
                    await self._report_probe(reading, ConversationResult(None, None, ()))
                    break
                reading = await self._read_page(adapter, reading, pace)
        return has_read

    async def _read_page(self, adapter: ReadsLists, reading: ReadingLease, pace: Pace) -> ReadingLease | None:
        """Read and store one page; return the reading as it is to be gone on with, or None."""
        try:
            question = adapter.read_page(reading.list_name, reading.cursor)
            page = await self.carrier.courier.inquire(question, rate_limiter=pace)
            self._check(reading, page)
        except (NoAnswer, UnreadableAnswer) as error:
            result = ConversationResult(None, error, exchanges_of(error))
            await self._report_probe(reading, result)
            await self._put_off(reading, error, result)
            return None
        if reading.probe_at is not None:
            await self.ledger.breakers.reset(self._name, [reading.token])
        read_on = replace(reading, probe_at=None)
        return await self.ledger.readings.add_page(read_on, page.numbers, page.after, lease=self._lease)

    async def _report_probe(self, reading: ReadingLease, result: ConversationResult) -> None:
        """Report what came of the probe, if the page was one: an answer, a fault, or that nothing was sent."""
        if reading.probe_at is not None:
            probe = Claims(Lane.ASK, reading.probe_at, reading.token, (), clock=reading.probe_at, recovering=True)
            breaker = CircuitBreaker(self.ledger.breakers, self.ledger.alarms, self.carrier.breaker_policy)
            await breaker.report(self._name, [(probe, result)])

    def _check(self, reading: ReadingLease, page: ListPage) -> None:
        """Raise `UnreadableAnswer` if the list is not paged as its documents describe: it would never end."""
        if page.after is not None and (page.after == reading.cursor or reading.pages >= _PAGES_MAX):
            raise UnreadableAnswer(self._name, f"{reading.list_name} has no end: page {reading.pages + 1} repeats")

    async def _put_off(
        self, reading: ReadingLease, error: NoAnswer | UnreadableAnswer, result: ConversationResult
    ) -> None:
        """Give the reading back after a request that brought no page."""
        not_before = error.not_before if isinstance(error, NoAnswer) else None
        if not result.exchanges and isinstance(error, Passing):  # there was no rate slot in time
            await self.ledger.readings.put_back(reading, not_before)
            return
        if limited_until := result.limited_until(await self.ledger.now()):
            await self.ledger.limits.pause(self._name, self._limit_group, until=limited_until, why=TOO_MANY_REQUESTS)
            self.carrier.pauses.record(self._limit_group, self.boot_clock())
            await self.ledger.readings.put_back(reading, limited_until)
            return
        log.info("page_not_read", carrier=self._name, list_name=reading.list_name, why=str(error))
        if isinstance(error, UnreadableAnswer):
            detail = f"{error} {error.excerpt!r}"
            subject = f"{self._name} {reading.list_name}"
            await self.ledger.alarms.raise_alarm(Alarm.UNREADABLE_ANSWER, subject, carrier=self._name, detail=detail)
        pause = self.carrier.policy.ask_pause(reading.faults, slow=False)
        restart = result.answered and not result.out_of_reach and reading.faults + 1 >= _FAULTS_TO_RESTART
        await self.ledger.readings.put_off(reading, str(error), pause=pause, not_before=not_before, restart=restart)

    def _pace(self) -> Pace:
        """Return the limit that counts the pages, among all other requests of this lane."""
        clock = self.boot_clock
        return self.carrier.pace(
            self._limit_group, self.ledger.limits, clock=clock, ledger_clock=self.ledger_clock, claimed_at=clock()
        )
