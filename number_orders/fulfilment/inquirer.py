"""Ask a carrier questions that are about no order, within its rate limits, and again if it does not answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

import structlog

from number_orders.carriers.contract import Inquiry
from number_orders.fulfilment.carrier import TOO_MANY_REQUESTS, Carrier
from number_orders.fulfilment.lanes.rate import LedgerClock, LimitStore, Pace
from number_orders.orders.errors import NoAnswer

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

TRIES: Final = 5
"""How often a question is put, when the carrier does not answer."""
_PAUSE_FIRST_S: Final = 1.0
_PAUSE_MAX_S: Final = 120.0
"""Pauses between them: doubled each time, or as long as the carrier wants, but not longer than this."""


class InquiryStores(Protocol):
    """The parts of the ledger that inquiries use."""

    @property
    def limits(self) -> LimitStore: ...
    async def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Inquirer:
    """Asks one carrier."""

    carrier: Carrier
    ledger: InquiryStores
    boot_clock: Callable[[], float]
    ledger_clock: LedgerClock

    async def ask(self, group: str, make: Callable[[], Inquiry[Result]], *, tries: int = TRIES) -> Result:
        """Ask one question, which counts against the limit `group`.

        Raises:
            NoAnswer: The carrier did not answer, however often it was asked.
            Declined, UnreadableAnswer: As the inquiry raises them.
        """
        for attempt in range(tries):
            pace = self._pace(group)
            try:
                return await self.carrier.courier.inquire(make(), rate_limiter=pace)
            except NoAnswer as silence:
                now = await self.ledger.now()
                if (pause := pace.current_pause()) and pause.until > now:
                    await self.ledger.limits.pause(pace.carrier, group, until=pause.until, why=TOO_MANY_REQUESTS)
                if attempt == tries - 1:
                    raise
                wait_s = _wait_s(silence, attempt, now)
                log.info("carrier_did_not_answer", carrier=pace.carrier, why=silence.reason, again_in_s=wait_s)
                await asyncio.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _pace(self, group: str) -> Pace:
        return self.carrier.pace(group, self.ledger.limits, clock=self.boot_clock, ledger_clock=self.ledger_clock)


def _wait_s(silence: NoAnswer, attempt: int, now: datetime) -> float:
    wanted_s = (silence.not_before - now) / timedelta(seconds=1) if silence.not_before else 0.0
    return min(_PAUSE_MAX_S, max(wanted_s, _PAUSE_FIRST_S * float(2**attempt)))
