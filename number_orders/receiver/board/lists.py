"""Lists of orders: filters from the address, pages, and what a search text may mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from number_orders.ledger.board import Page
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.order_views import OrderFilter, PageCursor
from number_orders.orders.model import Kind, OrderId, State
from number_orders.orders.numbers import parse_e164
from number_orders.receiver.cursor import read_cursor, write_cursor

ROWS: Final = 50
_FOUND_MAX: Final = 100
_TEXT_MAX: Final = 200
_UNFINISHED: Final = "unfinished"
_ENDED: Final = "ended"
GROUPS: Final[Mapping[str, tuple[State, ...]]] = {
    _UNFINISHED: tuple(state for state in State if not state.is_final),
    _ENDED: tuple(state for state in State if state.is_final),
}
"""What may stand for several states in the filter."""
_NAMES: Final = ("state", "carrier", "kind", "producer", "key", "number", "from", "to")
_PUNCTUATION: Final = str.maketrans("", "", " -().\u00a0")
_NATIONAL_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list's address says."""

    wanted: OrderFilter
    given: Mapping[str, str]
    """The filters as they stand in the address."""
    cursor: PageCursor | None
    faults: Sequence[str]
    """What of it cannot be understood; that part is left out."""

    def older(self, page: Page) -> str | None:
        """Return the address of the next page."""
        if page.next is None:
            return None
        return "?" + urlencode({**self.given, "cursor": write_cursor(page.next)})


def read_query(params: QueryParams) -> ListQuery:
    """Read the filters of a list."""
    given = {name: text for name in _NAMES if (text := params.get(name, "").strip()[:_TEXT_MAX])}
    faults: list[str] = []

    def parsed(name: str, parse: object) -> object:
        try:
            return parse(given[name]) if name in given and callable(parse) else None
        except ValueError as wrong:
            faults.append(f"{name}: {wrong}")
            return None

    wanted = OrderFilter(
        producer=given.get("producer"),
        key=given.get("key"),
        number=parsed("number", find_number),  # type: ignore[arg-type]  # each parser returns what its field takes
        states=parsed("state", _states),  # type: ignore[arg-type]
        carrier=given.get("carrier"),
        kind=parsed("kind", lambda text: Kind(text).value),  # type: ignore[arg-type]
        accepted_after=parsed("from", _moment),  # type: ignore[arg-type]
        accepted_before=parsed("to", _moment),  # type: ignore[arg-type]
    )
    cursor = None
    if word := params.get("cursor"):
        try:
            cursor = read_cursor(word)
        except ValueError as wrong:
            faults.append(f"cursor: {wrong}")
    return ListQuery(wanted, given, cursor, faults)


async def read_page(ledger: Ledger, query: ListQuery) -> Page:
    """Return the page of a list."""
    among = None
    if query.wanted.key is not None or query.wanted.number is not None:
        among = await ledger.order_views.find(query.wanted)
    return await ledger.board.page(query.wanted, limit=ROWS, after=query.cursor, order_ids=among)


async def search(ledger: Ledger, text: str) -> list[OrderId]:
    """Return the orders that a text names: by id, key, number, carrier's id or reference."""
    found = await ledger.board.find(text, limit=_FOUND_MAX)
    try:
        number = find_number(text)
    except ValueError:
        return found
    about = await ledger.order_views.find(OrderFilter(number=number))
    return list(dict.fromkeys([*found, *about]))[:_FOUND_MAX]


def find_number(text: str) -> str:
    """Return a number in E.164, from any way to write it; ten digits alone are North American.

    Raises:
        ValueError: It is none.
    """
    digits = text.translate(_PUNCTUATION)
    if not digits.startswith("+") and digits.isascii() and digits.isdecimal():
        digits = f"+1{digits}" if len(digits) == _NATIONAL_DIGITS else f"+{digits}"
    return str(parse_e164(digits))


def _states(text: str) -> tuple[State, ...]:
    return GROUPS.get(text) or (State(text),)


def _moment(text: str) -> datetime:
    """Read a date, or a date and a time of day, in UTC unless it says otherwise."""
    given = datetime.fromisoformat(text)
    return given if given.tzinfo else given.replace(tzinfo=UTC)
