"""Readings: a carrier's list that is read whole, page by page, once for every order that waits for what it shows.

An order puts a question, and is answered from a reading that began later. One worker at a time has the lease of a
reading and adds page after page; the cursor of the next page is stored with each. After the lease of a dead worker has
run out, another goes on from there. Reasons and figures: docs/adr/0014-lists-read-once-for-many.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.schedule import PROBE_LASTS
from number_orders.orders.errors import NoAnswer
from number_orders.orders.model import CarrierName, OrderId
from number_orders.orders.numbers import E164, ListedNumber
from number_orders.orders.serialization import moment_to_json

_BEGINS_AFTER: Final = timedelta(seconds=0.5)
"""How long after the first question a reading begins, so that orders which ask together are answered together."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an order asks of a list. The same question keeps its time until it is answered."""

    order_id: OrderId
    carrier: CarrierName
    list_name: str
    text: str


@dataclass(frozen=True, slots=True)
class QuestionState:
    """Whether a reading answers a question, and what is known of the one that will."""

    now: datetime
    reading_id: int | None
    """The whole reading that answers it."""
    pages: int = 0
    """How many pages are read of the reading that is under way."""
    trouble: str | None = None
    """What the last attempt to go on with it has met."""
    lasted: timedelta | None = None
    """How long the last whole reading of the list took."""


@dataclass(frozen=True, slots=True)
class ReadingLease:
    """A reading that this worker goes on with. `token` guards every write about it."""

    reading_id: int
    token: UUID
    list_name: str
    cursor: str | None
    """Of the next page; None: the first page is next."""
    pages: int
    faults: int
    """In a row."""
    probe_at: datetime | None = None
    """When it was leased, if the breaker is open and its next page is the probe; None: the breaker is closed."""


class Readings:
    """Stores readings, and the questions that wait for them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_question(self, question: Question) -> QuestionState:
        """Note a question, unless it waits already, and see to it that a reading comes which answers it.

        Raises:
            NoAnswer: The ledger fell back in time and has forgotten the order.
        """
        params = {**_question(question), "begins_after": _BEGINS_AFTER}
        found = await self._database.run("put_question", params)
        if not found:
            raise NoAnswer("the ledger does not know the order any more")
        (row,) = found
        return QuestionState(row["now"], row["reading_id"], row["pages"] or 0, row["trouble"], row["lasted"])

    async def find(
        self, question: Question, reading_id: int, numbers: Sequence[E164], since: datetime | None
    ) -> tuple[datetime, list[ListedNumber]] | None:
        """Return when a whole reading began, and what it has of `numbers` and of those inserted `since` then.

        The question is answered by that. Returns None, and leaves it, if the reading is gone: a later one is whole.
        """
        params = {**_question(question), "reading_id": reading_id, "numbers": list(numbers), "since": since}
        found = await self._database.run("find_in_reading", params)
        if not found:
            return None
        listed = [ListedNumber(row["e164"], row["inserted_at"], row["detail"]) for row in found if row["e164"]]
        return found[0]["began_at"], listed

    async def lease(self, carrier: CarrierName, *, lease: timedelta) -> ReadingLease | None:
        """Lease a reading that is due; return None if there is none, or if nothing may be read at this carrier now."""
        token = uuid4()
        params = {"carrier": carrier, "lease": lease, "token": token, "probe": PROBE_LASTS}
        found = await self._database.run("lease_reading", params)
        names = ("reading_id", "list_name", "cursor", "pages", "faults", "probe_at")
        return next((ReadingLease(token=token, **{name: row[name] for name in names}) for row in found), None)

    async def add_page(
        self, reading: ReadingLease, numbers: Sequence[ListedNumber], after: str | None, *, lease: timedelta
    ) -> ReadingLease | None:
        """Add a page, and renew the lease. Without `after` the reading is whole, and what waits for it is due.

        Returns:
            The reading as it is to be gone on with; None if it is whole, or if the lease was another's.
        """
        latest = {entry.e164: entry for entry in sorted(numbers, key=attrgetter("inserted_at"))}
        params = {
            "reading_id": reading.reading_id,
            "token": reading.token,
            "cursor": reading.cursor,
            "after": after,
            "lease": lease,
            "begins_after": _BEGINS_AFTER,
            "numbers": Jsonb([_entry(entry) for entry in latest.values()]),
        }
        found = await self._database.run("add_page", params)
        if after is None or not found:
            return None
        return replace(reading, cursor=after, pages=found[0]["pages"], faults=0)

    async def put_back(self, reading: ReadingLease, not_before: datetime | None = None) -> None:
        """Give a reading back, due at once or at `not_before`."""
        params = {"reading_id": reading.reading_id, "token": reading.token, "not_before": not_before}
        await self._database.run("put_back_reading", params)

    async def put_off(
        self, reading: ReadingLease, trouble: str, *, pause: timedelta, not_before: datetime | None, restart: bool
    ) -> None:
        """Give a reading back after a fault, due after a pause; with `restart`, to begin again at the first page."""
        params = {
            "reading_id": reading.reading_id,
            "token": reading.token,
            "trouble": trouble,
            "pause": pause,
            "not_before": not_before,
            "restart": restart,
        }
        await self._database.run("put_off_reading", params)


def _question(question: Question) -> dict[str, object]:
    return {
        "order_id": question.order_id,
        "carrier": question.carrier,
        "list_name": question.list_name,
        "question": question.text,
    }


def _entry(entry: ListedNumber) -> dict[str, object]:
    return {"e164": entry.e164, "inserted_at": moment_to_json(entry.inserted_at), "detail": entry.detail}
