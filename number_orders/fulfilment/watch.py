"""Looks now and then for what no order can tell by itself: a line that does not move on. Moves nothing.

What is over by itself is no alarm any more; nobody has to put it away.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from number_orders.fulfilment.carrier import Carrier
from number_orders.ledger.ledger import HeldSerialLock, Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName, State

REPEAT_AFTER: Final = timedelta(hours=1)
"""What goes on being so is told anew once in this time, also when somebody has put the alarm away."""


@dataclass(frozen=True, slots=True)
class SerialLockWatch:
    """Minds the lines at one carrier."""

    ledger: Ledger
    carrier: Carrier

    async def look(self) -> None:
        """Call a person about every turn that is held for too long, and forget the alarms of those that moved on."""
        name, held = self.carrier.adapter.name, await self._held()
        for turn in held:
            if turn.waiting:
                await self._call(name, turn)
        standing = [turn.serial_key for turn in held]
        await self.ledger.drop_alarms(Alarm.TURN_HELD, carrier=name, standing=[_subject(name, key) for key in standing])

    async def _held(self) -> list[HeldSerialLock]:
        return await self.ledger.held_serial_locks(self.carrier.adapter.name, self.carrier.policy.overdue_after)

    async def _call(self, carrier: CarrierName, turn: HeldSerialLock) -> None:
        await self.ledger.note_alarm(
            Alarm.TURN_HELD,
            _subject(carrier, turn.serial_key),
            carrier=carrier,
            order_id=turn.order_id,
            detail=_words(turn),
            again_after=REPEAT_AFTER,
        )


def _subject(carrier: CarrierName, serial_key: str) -> str:
    return f"{carrier} {serial_key}"


def _words(turn: HeldSerialLock) -> str:
    has = f"order {turn.order_id} is {turn.state} and has its turn since {turn.since:%Y-%m-%d %H:%M} UTC"
    line = "1 order waits" if turn.waiting == 1 else f"{turn.waiting} orders wait"
    first = f", the first since {turn.waiting_since:%Y-%m-%d %H:%M} UTC" if turn.waiting_since else ""
    until = "somebody decides about it" if turn.state is State.PARKED else "it ends"
    return f"{has}; {line} behind it until {until}{first}"
