"""The whole service in numbers: orders by state, throughput, lanes, and the last answer of each carrier.

Reads only. Each part is read by its own statement, so the parts may be of slightly different moments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from number_orders.ledger.connection import Database
from number_orders.orders.model import CarrierName, Lane, State

WITHIN: Final = timedelta(days=1)
"""How far back orders that came in or ended are counted."""
_RECEIPTS_LOOKED_AT: Final = 2000


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The orders of one carrier in one state."""

    carrier: CarrierName
    state: State
    orders: int
    oldest_at: datetime
    """When the oldest of them was accepted."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The orders of one carrier that came to one end within a day."""

    carrier: CarrierName
    state: State
    orders: int
    last_hour: int
    median: timedelta
    """Half of them took at most so long from acceptance to end."""


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """What is owed on one lane."""

    carrier: CarrierName
    lane: Lane
    due: int
    in_hand: int
    waiting: int
    due_since: datetime | None


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """The last request to a carrier, and what came of it."""

    carrier: CarrierName
    at: datetime
    request: str
    status: int | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The service at one moment."""

    now: datetime
    accepted: int
    accepted_last_hour: int
    unfinished: tuple[Unfinished, ...]
    ended: tuple[Ended, ...]
    lanes: tuple[LaneDepth, ...]
    answers: tuple[LastAnswer, ...]


class Overview:
    """Counts what the ledger has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Snapshot:
        """Return the service as it is now."""
        run = self._database.run
        (accepted,) = await run("count_accepted", {"within": WITHIN})
        return Snapshot(
            now=accepted["now"],
            accepted=accepted["orders"],
            accepted_last_hour=accepted["last_hour"],
            unfinished=tuple(Unfinished(**_typed(row)) for row in await run("unfinished_orders", {})),
            ended=tuple(Ended(**_typed(row)) for row in await run("recent_ends", {"within": WITHIN})),
            lanes=tuple(LaneDepth(**_typed(row)) for row in await run("lane_depths", {})),
            answers=tuple(
                LastAnswer(**_typed(row)) for row in await run("last_answers", {"among": _RECEIPTS_LOOKED_AT})
            ),
        )


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"carrier": CarrierName, "state": State, "lane": Lane}
    return {name: kinds[name](value) if name in kinds else value for name, value in row.items()}
