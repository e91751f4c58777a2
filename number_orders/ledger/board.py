"""What the board shows of the whole ledger: counts, what waits longest, lanes, carriers, ends by time, lists, search.

Every statement looks at a limited number of rows. A count that has reached its limit says "at least".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, get_args
from uuid import UUID

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.ledger.order_views import INFINITY, OrderFilter, OrderView, PageCursor, list_bounds
from number_orders.orders.alarms import Alarm
from number_orders.orders.events import names_of
from number_orders.orders.lifecycle import AfterTheEnd
from number_orders.orders.model import Kind, OrderId, State

Row = Mapping[str, Any]

COUNTED_MAX: Final = 100_000
"""How many unfinished orders are counted."""
ENDED_MAX: Final = 5_000
"""How many orders of each end are counted by carrier."""
ENDS_MAX: Final = 500_000
"""How many orders of each end are counted by time."""
LANE_MAX: Final = 10_000
"""How many work items of each lane and kind are counted, due and waiting."""
LOOKED_AT: Final = 10_000
"""How many orders a page of a list looks through."""
_FEW: Final = 200
_LEASES_MAX: Final = 2_000
_TIMED: Final = 100
"""Of how many orders of each end, in each span of time, the duration is read."""
_RECEIPTS_LOOKED_AT: Final = 2_000
_OLDEST_LOOKED_AT: Final = 2_000
_PRODUCERS_MAX: Final = 500
_BY_STATE: Final = "board_list_by_state"
_AFTER_THE_END: Final = [name for kind in get_args(AfterTheEnd) for name in names_of(kind)]
_BY_EVENT: Final = frozenset({State.PARKED, *(state for state in State if state.is_final)})
"""The states that events are indexed by."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list."""

    now: datetime
    orders: Sequence[OrderView]
    looked: int
    """How many orders were looked through."""
    next: PageCursor | None
    """Where the list goes on; None: there is nothing more."""


class BoardView:
    """Reads what the board shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unfinished(self) -> list[Row]:
        """Return how many of the `COUNTED_MAX` oldest unfinished orders are in each state, by carrier."""
        return await self._run("board_unfinished", at_most=COUNTED_MAX)

    async def ended(self, since: timedelta) -> list[Row]:
        """Return how many orders have come to each end lately, by carrier; of each end at most `ENDED_MAX`."""
        return await self._run("board_ended", since=since, at_most=ENDED_MAX, after_the_end=_AFTER_THE_END)

    async def oldest(self, limit: int) -> list[Row]:
        """Return the orders that wait longest, and neither for a person nor for the time that their producer chose."""
        return await self._run("board_oldest", looked_at=_OLDEST_LOOKED_AT, limit=limit)

    async def parked(self, limit: int) -> list[Row]:
        """Return parked orders, the longest parked first."""
        return await self._run("board_parked", looked_at=LOOKED_AT, limit=limit)

    async def overdue(self, limit: int) -> list[Row]:
        """Return unfinished orders with an overdue alarm, the oldest first."""
        return await self._run("board_overdue", what=Alarm.OVERDUE, limit=limit)

    async def ends(self, since: timedelta, width: timedelta) -> list[Row]:
        """Return how many orders have ended in each span of `width`, by end."""
        return await self._run("board_ends", since=since, width=width, at_most=ENDS_MAX, after_the_end=_AFTER_THE_END)

    async def times_to_end(self, since: timedelta, width: timedelta) -> list[Row]:
        """Return the median and the 95th percentile of the seconds from acceptance to end, by span of `width`."""
        return await self._run(
            "board_times_to_end", since=since, width=width, at_most=_TIMED, after_the_end=_AFTER_THE_END
        )

    async def lanes(self) -> list[Row]:
        """Return what is due, waits and is in hand on every lane, and who has paused it."""
        return await self._run("board_lanes", kinds=list(Kind), at_most=LANE_MAX, leases_max=_LEASES_MAX)

    async def carriers(self) -> list[Row]:
        """Return every carrier's circuit breaker."""
        return await self._run("board_carriers")

    async def limits(self) -> list[Row]:
        """Return every carrier's limit groups."""
        return await self._run("board_limits")

    async def last_answers(self) -> list[Row]:
        """Return the last request to each carrier and what came of it."""
        return await self._run("board_last_answers", looked_at=_RECEIPTS_LOOKED_AT)

    async def producers(self) -> list[str]:
        """Return everybody who has ordered."""
        return [row["producer"] for row in await self._run("board_producers", limit=_PRODUCERS_MAX)]

    async def find(self, text: str, *, limit: int) -> list[OrderId]:
        """Return the orders that this is the id, the key, the carrier's id or the reference of."""
        return [row["order_id"] for row in await self._run("board_find", text=text, order_id=_uuid(text), limit=limit)]

    async def pulse(self, order_id: OrderId) -> str:
        """Return a word that changes whenever the order does, or its work, or what its producer is told."""
        return repr([tuple(row.values()) for row in await self._run("board_pulse", order_id=order_id)])

    async def page(
        self,
        wanted: OrderFilter,
        *,
        limit: int,
        after: PageCursor | None = None,
        order_ids: Sequence[OrderId] | None = None,
        looked_at: int = LOOKED_AT,
    ) -> Page:
        """Return a page of orders, newest first, from the next `looked_at` ones; `order_ids`: only among these.

        A page may have fewer orders than `limit`, or none, and yet not be the last. Few are looked at first: most pages
        are full then.
        """
        first = min(_FEW, looked_at)
        page = await self._page(wanted, limit, after, order_ids, first)
        if page.looked < first or len(page.orders) == limit or first == looked_at:
            return page
        return await self._page(wanted, limit, after, order_ids, looked_at)

    async def _page(
        self,
        wanted: OrderFilter,
        limit: int,
        after: PageCursor | None,
        order_ids: Sequence[OrderId] | None,
        looked_at: int,
    ) -> Page:
        statement = _statement(wanted, among=order_ids is not None)
        bounded = replace(wanted, accepted_before=None) if statement == _BY_STATE else wanted
        params = list_bounds(bounded, after) | {
            "limit": limit + 1,
            "looked_at": looked_at,
            "producer": wanted.producer,
            "until": wanted.accepted_before or INFINITY,
            "order_ids": list(order_ids or ()),
            "after_the_end": _AFTER_THE_END,
        }
        found = await self._database.run(statement, params)
        fitting = [row for row in found if row["order_id"]]
        views = [OrderView(rows.order_from_row(row), row["producer"]) for row in fitting[:limit]]
        return Page(found[0]["now"], views, found[0]["looked"], _next(fitting, found[0], limit, looked_at))

    async def _run(self, statement: str, **params: object) -> list[Row]:
        return list(await self._database.run(statement, params))


def _statement(wanted: OrderFilter, *, among: bool) -> str:
    """Return the statement that finds these orders by an index."""
    states = frozenset(wanted.states or State)
    if among:
        return "board_list_among"
    if states <= _BY_EVENT and states != _BY_EVENT:
        return _BY_STATE
    if not any(state.is_final for state in states):
        return "board_list_unfinished"
    return "board_list" if wanted.producer is None else "board_list_of_producer"


def _next(fitting: Sequence[Row], reach: Row, limit: int, looked_at: int) -> PageCursor | None:
    """Return where the next page begins: behind the last order shown, or else behind the last that was looked at."""
    if len(fitting) > limit:
        return PageCursor(fitting[limit - 1]["sorted_at"], fitting[limit - 1]["order_id"])
    if reach["looked"] >= looked_at:
        return PageCursor(reach["last_at"], reach["last_id"])
    return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
