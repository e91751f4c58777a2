"""Report to the ledger whether a carrier can be reached, as the conversations of one lane run show it.

Network faults count: a refused connection, an unknown host name, a failed handshake, no answer, a gateway's answer
instead of the carrier's. So does a failed fetch of an access token, once for all conversations that waited for it. A
refusal is an answer.

Nothing is decided here. Each carrier has one breaker, a row of the ledger to which all workers report. The statements
`count_faults` and `reset_breaker` (`ledger/sql/breakers.sql`) decide whether a carrier is left alone, and until when.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from number_orders.fulfilment.carrier import ConversationResult
from number_orders.fulfilment.ports import AlarmStore
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.schedule import Claims
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName

log = structlog.get_logger(__name__)

_ALARM_AFTER: Final = timedelta(seconds=30)
"""A carrier that is left alone for longer than this raises an alarm."""


class ProbeStore(Protocol):
    """Takes probes back that nobody makes."""

    async def return_probe(self, claims: Claims, carrier: CarrierName) -> None: ...


class BreakerStore(ProbeStore, Protocol):
    """Keeps one circuit breaker per carrier, and decides when it opens and closes."""

    async def count_faults(
        self, carrier: CarrierName, tokens: Sequence[UUID], *, faults: int, why: str, breaker_policy: BreakerPolicy
    ) -> datetime | None: ...

    async def reset(self, carrier: CarrierName, tokens: Sequence[UUID]) -> None: ...


@dataclass(slots=True)
class CircuitBreaker:
    """Reports the faults and answers of one lane run. The SQL statement `count_faults` decides if the breaker opens."""

    breakers: BreakerStore
    alarms: AlarmStore
    breaker_policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    _faults_reported: bool = False
    """Whether this run has reported faults since the last answer. If so, the next answer must be reported too."""

    async def report(self, carrier: CarrierName, results: Sequence[tuple[Claims, ConversationResult]]) -> None:
        """Report how some conversations ended. Runs no statement while all goes well."""
        answered = [claims for claims, each in results if each.answered and not each.out_of_reach]
        faults = [(claims, each) for claims, each in results if each.out_of_reach]
        silent = {claims.token: claims for claims, each in results if not each.answered and not each.out_of_reach}
        for claims in silent.values():
            if claims.recovering:  # it says nothing of the carrier, so another may be the probe
                await self.breakers.return_probe(claims, carrier)
        if answered:
            if self._faults_reported or faults or any(claims.recovering for claims in answered):
                await self.breakers.reset(carrier, [claims.token for claims in answered])
                self._faults_reported = False
        elif faults:
            self._faults_reported = True
            await self._count(carrier, faults)

    async def _count(self, carrier: CarrierName, faults: Sequence[tuple[Claims, ConversationResult]]) -> None:
        counted = sum(not _is_shared(each) for _, each in faults)
        if not counted and not any(claims.recovering for claims, _ in faults):
            return  # they waited for a token that another conversation fetched in vain, and that one is counted
        last_claims, last = faults[-1]
        why = str(last.out_of_reach)
        until = await self.breakers.count_faults(
            carrier,
            [claims.token for claims, _ in faults],
            faults=counted,  # if it is none, this tells only how the probe went
            why=why,
            breaker_policy=self.breaker_policy,
        )
        if last.no_token and (until is not None or (counted and last.no_token.refused)):
            log.error("token_refused", carrier=carrier, why=why)
            await self.alarms.raise_alarm(Alarm.TOKEN_REFUSED, carrier, carrier=carrier, detail=why)
        if until is None:
            return
        log.warning("carrier_out_of_reach", carrier=carrier, until=until.isoformat(), why=why)
        if until - last_claims.now > _ALARM_AFTER:
            detail = f"left alone until {until:%H:%M:%S} UTC, then one order tries: {why}"
            await self.alarms.raise_alarm(Alarm.CARRIER_OUT_OF_REACH, carrier, carrier=carrier, detail=detail)


def _is_shared(result: ConversationResult) -> bool:
    """Return whether the fault is a failed fetch of a token that another conversation made and is counted for."""
    return result.no_token is not None and result.no_token.shared
