"""Rings bells from a thread of their own: a broker that does not answer delays no request.

An order that came over HTTP is in the ledger, so a lost bell costs a second.
"""

import threading
from collections.abc import Iterable
from typing import Final

from number_orders.fulfilment.ports import Bell
from number_orders.orders.model import CarrierName, Lane

CLOSE_WITHIN_S: Final = 3.0


class BackgroundBell:
    """A bell that is rung later, by a thread. Several rings of one lane that wait are one."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._waiting: set[tuple[CarrierName, Lane]] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="bells", daemon=True)
        self._thread.start()

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        """Note the lanes, and return at once."""
        with self._changed:
            self._waiting.update(lanes)
            self._changed.notify()

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Do nothing: this process works no lane."""

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        """Do nothing: this process works no lane."""

    def close(self) -> None:
        """Ring what waits, and end the thread; give up on a broker that does not answer."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                lanes, self._waiting = self._waiting, set()
                if not lanes and self._closed:
                    return
            self._bell.ring(lanes)
