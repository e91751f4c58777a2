"""The rare paths through the service, counted where a world walks them.

A fault that never leads anywhere proves nothing. So each profile promises paths, and a test fails if its worlds do not
walk them.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from number_orders.orders.model import NumberState, State
from number_orders.simulation.books import Books, acquired, released
from number_orders.simulation.operators import MISTAKEN
from number_orders.simulation.statements.serial_locks import is_of_number
from number_orders.simulation.tables import Row, Tables


class Path(StrEnum):
    """A rare path."""

    FOUND_TWICE = "two orders under one reference found"
    FOLLOWED_ANOTHER = "another order followed instead of one that came to nothing"
    SENT_AGAIN_KNOWN = "sent again by a person although a carrier order was known"
    END_WHEN_NOT_OPEN = "an end for an order that was not open"
    ABOUT_ANOTHER = "an answer about a carrier order that is not followed any more"
    TWO_BLOWS = "two answers of one order lost"
    SECOND_PAGE = "a second page of a list"
    PARTS = "a removal between two parts"
    NOT_BELIEVED = "an end that fell short and was not believed yet"
    GREW = "more numbers after an end that was not believed"
    FLIPPED = "a status that came back"
    WITHDRAWN = "a number withdrawn"
    REPLACED = "a number withdrawn, and another for it"
    BOUGHT_TWICE = "bought twice, since the list was too late"
    BOUGHT_TWICE_AT_END = "bought twice, known at the end"
    LATE_LOOK = "a late look that found nothing"
    LATE_LOOK_FOUND = "a late look that found a purchase"
    BOUGHT_BY_HAND = "a number bought by hand, and left alone"
    REMOVED_BY_HAND = "a number of ours removed by hand"
    SOLD_AGAIN = "a number held, removed, and held again"
    NUMBER_LOCK = "two orders about one number, one waiting"
    SUB_ACCOUNT = "an order for a sub-account, ended"
    ADOPTED_WRONGLY = "another's carrier order adopted by mistake"  # only where the carrier does not answer meanwhile
    CLOSED_UNDER_WAY = "closed by mistake while the carrier had the order"
    NOTICED = "an open order asked about because of a notice"
    NOTICED_IN_DOUBT = "an order in doubt looked for because of a notice"
    NOTICE_WAITED = "a notice that waited for its order"
    NOTICE_UNREADABLE = "a notice that could not be read"


PROMISED: Final[Mapping[str, frozenset[Path]]] = MappingProxyType(
    {
        "lists": frozenset({Path.NOT_BELIEVED, Path.GREW, Path.FLIPPED}),
        "withdrawals": frozenset({Path.WITHDRAWN, Path.REPLACED, Path.NOT_BELIEVED}),
        "parts": frozenset({Path.PARTS, Path.TWO_BLOWS}),
        "accounts": frozenset(
            {
                Path.SECOND_PAGE,
                Path.SUB_ACCOUNT,
                Path.BOUGHT_BY_HAND,
                Path.REMOVED_BY_HAND,
                Path.SOLD_AGAIN,
                Path.NUMBER_LOCK,
            }
        ),
        "mistakes": frozenset(
            {
                Path.CLOSED_UNDER_WAY,
                Path.SENT_AGAIN_KNOWN,
                Path.LATE_LOOK_FOUND,
            }
        ),
        "patience": frozenset(
            {
                Path.FOUND_TWICE,
                Path.FOLLOWED_ANOTHER,
                Path.BOUGHT_TWICE,
                Path.BOUGHT_TWICE_AT_END,
                Path.LATE_LOOK,
                Path.LATE_LOOK_FOUND,
            }
        ),
        "notices": frozenset({Path.NOTICED, Path.NOTICED_IN_DOUBT, Path.NOTICE_WAITED, Path.NOTICE_UNREADABLE}),
        "blows": frozenset({Path.TWO_BLOWS, Path.END_WHEN_NOT_OPEN}),
    }
)

_ENDS: Final = frozenset({"Filled", "PartlyFilled", "FilledWithErrors", "Refused", "CalledBack"})
_NEXT_PAGE: Final = re.compile(r"/dids\?.*\bafter=[^&]|numberRequests\?.*\bskip=[1-9]", re.IGNORECASE)
_ASKED: Final = frozenset({State.OPEN, State.IN_DOUBT})
_WAITED: Final = timedelta(seconds=5)
_NOT_BELIEVED: Final = "believed when unchanged"


@dataclass(slots=True)
class Paths:
    """Counts the paths of one world."""

    counts: Counter[str] = field(default_factory=Counter)

    def walk(self, path: Path) -> None:
        """Count a path."""
        self.counts[path] += 1

    def on_request(self, target: str) -> None:
        """Count a page of a list that is not the first."""
        if _NEXT_PAGE.search(target):
            self.walk(Path.SECOND_PAGE)

    def on_statement(self, tables: Tables, statement: str, params: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """Count what a statement shows."""
        if statement == "record_steps":
            done = {row["order_id"] for row in rows}
            for step in params["steps"].obj:
                if (order_id := UUID(step["order_id"])) in done:
                    self._on_step(step, tables.events[order_id], tables.orders[order_id])
        elif statement == "apply_notices":
            self._on_notices(tables)
        elif statement == "store_notices":
            self.counts[Path.NOTICE_UNREADABLE] += sum(bool(each["trouble"]) for each in params["notices"].obj)
        elif statement == "wait_for_serial_locks" and any(map(_is_about_number, params["waiting"].obj)):
            self.walk(Path.NUMBER_LOCK)

    def _on_notices(self, tables: Tables) -> None:
        """Count what the notices that were just applied have brought."""
        now = tables.clock()
        for notice in tables.notices.values():
            order = tables.orders.get(notice["order_id"]) if notice["handled_at"] == now else None
            if order is None or order["state"] not in _ASKED:
                continue
            self.walk(Path.NOTICED if order["state"] == State.OPEN else Path.NOTICED_IN_DOUBT)
            if now - notice["received_at"] > _WAITED:
                self.walk(Path.NOTICE_WAITED)

    def _on_step(self, step: Row, story: Sequence[Row], order: Row) -> None:
        earlier = story[: step["from_version"] + 1]
        if (path := _path_of(step["event"], step["detail"], earlier, order)) is not None:
            self.walk(path)
        if step["event"] in _ENDS:
            self._on_end(step, earlier[-1]["state"], earlier)
        self._on_status(step["detail"], earlier)

    def _on_end(self, step: Row, before: str, earlier: Sequence[Row]) -> None:
        if before in {"ACCEPTED", "IN_DOUBT", "PARKED"} or (step["late"] and before != "OPEN"):
            self.walk(Path.END_WHEN_NOT_OPEN)
        if step["late"] and before == "OPEN":
            self.walk(Path.ABOUT_ANOTHER)
        doubted = any(_NOT_BELIEVED in (e["detail"].get("detail") or "") for e in earlier if e["event"] == "StillOpen")
        if doubted and step["event"] == "Filled":
            self.walk(Path.GREW)
        if len(step["detail"].get("carrier_order_ids") or ()) > 1:
            self.walk(Path.BOUGHT_TWICE_AT_END)
        if any(number["state"] == NumberState.WITHDRAWN for number in step["numbers"]):
            self.walk(Path.REPLACED if step["event"] == "Filled" else Path.WITHDRAWN)

    def _on_status(self, detail: Row, earlier: Sequence[Row]) -> None:
        """Count a status that an order had before, with another in between."""
        status = detail.get("carrier_status")
        said = [s for e in earlier if (s := e["detail"].get("carrier_status"))]
        if status and said and said[-1] != status and status in said:
            self.walk(Path.FLIPPED)

    def at_end(self, tables: Tables, books: Books) -> None:
        """Count what only the end shows."""
        for order in tables.orders.values():
            if len([sale for sale in books.sales(order) if acquired(sale)]) > 1:
                self.walk(Path.BOUGHT_TWICE)
            if order["request"].get("account"):
                self.walk(Path.SUB_ACCOUNT)
        ever = Counter(row["e164"] for row in tables.held)
        self.counts[Path.SOLD_AGAIN] += sum(times > 1 for times in ever.values())
        for carrier in books.carriers:
            others, ours = books.by_hand(carrier), books.ledger_holds(carrier)
            self.counts[Path.BOUGHT_BY_HAND] += sum(e164 not in ours for sale in others for e164 in acquired(sale))
            self.counts[Path.REMOVED_BY_HAND] += sum(e164 in ever for sale in others for e164 in released(sale))


def _path_of(event: str, detail: Row, earlier: Sequence[Row], order: Row) -> Path | None:
    """Return the path that an event is, if it is one by itself."""
    match event:
        case "FoundTwice":
            return Path.FOUND_TWICE
        case "Acknowledged" if detail.get("instead_of"):
            return Path.FOLLOWED_ANOTHER
        case "SentAgain" if any(e["detail"].get("carrier_order_id") for e in earlier):
            return Path.SENT_AGAIN_KNOWN
        case "AnswerLost" if any(e["event"] == "AnswerLost" for e in earlier):
            return Path.TWO_BLOWS
        case "PartSettled" if detail.get("settled"):
            return Path.PARTS
        case "Adopted" if detail.get("by") == MISTAKEN:
            return Path.ADOPTED_WRONGLY
        case "WrittenOff" | "CutShort" if detail.get("by") == MISTAKEN and order["sends"]:
            return Path.CLOSED_UNDER_WAY
        case "LookedAgain":
            return Path.LATE_LOOK_FOUND if detail.get("numbers") else Path.LATE_LOOK
        case "StillOpen" if _NOT_BELIEVED in (detail.get("detail") or ""):
            return Path.NOT_BELIEVED
    return None


def _is_about_number(wish: Row) -> bool:
    return is_of_number(wish["serial_key"])
