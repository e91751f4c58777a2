"""Watch for what no single order can notice: a serial lock that is held for too long. Moves no order.

An alarm about a lock goes away by itself once the lock has moved on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.ports import AlarmStore
from number_orders.ledger.serial_locks import HeldSerialLock
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName, State

REPEAT_AFTER: Final = timedelta(hours=1)
"""A persisting condition raises its alarm at most this often, also after a person has cleared it."""


class HeldLocks(Protocol):
    """Reads the serial locks that are held for long."""

    async def held_for_long(self, carrier: CarrierName, patience: timedelta) -> list[HeldSerialLock]: ...


class WatchAlarms(AlarmStore, Protocol):
    """Raises alarms, and drops those that are over."""

    async def drop_alarms(self, what: str, *, carrier: CarrierName, keep: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class SerialLockWatch:
    """The watch over one carrier's serial locks."""

    locks: HeldLocks
    alarms: WatchAlarms
    carrier: Carrier

    async def check(self) -> None:
        """Raise an alarm for every lock that is held for too long while orders wait, and drop those that are over."""
        name = self.carrier.adapter.name
        held = await self.locks.held_for_long(name, self.carrier.policy.overdue_after)
        for lock in held:
            if lock.waiting:
                await self._alarm(name, lock)
        keep = [_subject(name, lock.serial_key) for lock in held]
        await self.alarms.drop_alarms(Alarm.TURN_HELD, carrier=name, keep=keep)

    async def _alarm(self, carrier: CarrierName, lock: HeldSerialLock) -> None:
        await self.alarms.note_alarm(
            Alarm.TURN_HELD,
            _subject(carrier, lock.serial_key),
            carrier=carrier,
            order_id=lock.order_id,
            detail=_detail(lock),
            again_after=REPEAT_AFTER,
        )


def _subject(carrier: CarrierName, serial_key: str) -> str:
    return f"{carrier} {serial_key}"


def _detail(lock: HeldSerialLock) -> str:
    holder = f"order {lock.order_id} is {lock.state} and has the serial lock since {lock.since:%Y-%m-%d %H:%M} UTC"
    waiting = "1 order waits" if lock.waiting == 1 else f"{lock.waiting} orders wait"
    first = f", the first since {lock.waiting_since:%Y-%m-%d %H:%M} UTC" if lock.waiting_since else ""
    until = "a person decides about it" if lock.state is State.PARKED else "it ends"
    return f"{holder}; {waiting} behind it until {until}{first}"
