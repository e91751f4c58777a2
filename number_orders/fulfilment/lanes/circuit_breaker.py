"""Whether a carrier can be reached, as conversations show it, told to the ledger when that is news.

Knows what counts as a fault of the way there: a refused connection, a name that is not found, a handshake that fails,
an answer that does not come, a gateway that answers instead. A refusal is an answer. Decides nothing: whether a carrier
is left alone, and until when, is decided where all workers' news comes together, in the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from number_orders.fulfilment.carrier import ConversationResult
from number_orders.ledger.ledger import BreakerPolicy, Claims, Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName

log = structlog.get_logger(__name__)

_WORTH_TELLING: Final = timedelta(seconds=30)
"""A carrier that is left alone for longer is a person's business."""


@dataclass(slots=True)
class CircuitBreaker:
    """What one stint meets on its way to one carrier."""

    ledger: Ledger
    breaker_policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    _recovering: bool = False
    """Whether there were faults since the last answer, here: then the next answer is news."""

    async def note(self, carrier: CarrierName, held: Sequence[tuple[Claims, ConversationResult]]) -> None:
        """Take in how some conversations went. Costs nothing while all goes well."""
        answered = [claims for claims, each in held if each.answered and not each.out_of_reach]
        faults = [(claims, why) for claims, each in held if (why := each.out_of_reach)]
        if answered:
            if self._recovering or faults or any(claims.recovering for claims in answered):
                await self.ledger.within_reach(carrier, [claims.token for claims in answered])
                self._recovering = False
        elif faults:
            self._recovering = True
            await self._count(carrier, faults)

    async def _count(self, carrier: CarrierName, faults: Sequence[tuple[Claims, str]]) -> None:
        (*_, (_, why)) = faults
        tokens = [claims.token for claims, _ in faults]
        until = await self.ledger.out_of_reach(
            carrier, tokens, faults=len(faults), why=why, breaker_policy=self.breaker_policy
        )
        if until is None:
            return
        log.warning("carrier_out_of_reach", carrier=carrier, until=until.isoformat(), why=why)
        if until - faults[-1][0].now > _WORTH_TELLING:
            detail = f"left alone until {until:%H:%M:%S} UTC, then one order tries: {why}"
            await self.ledger.raise_alarm(Alarm.CARRIER_OUT_OF_REACH, carrier, carrier=carrier, detail=detail)
