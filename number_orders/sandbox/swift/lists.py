"""Swift's lists: items appear after a delay, and pages are found by cursors."""

import base64
import binascii
import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, Generic, TypeVar

_LIMIT_MAX: Final = 100
_LIMIT: Final = 50
_OLD: Final = "OLD"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The requested page: up to `limit` items after or before the item with this id."""

    limit: int
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of items, and the ids for the next and the previous page; None where nothing is left."""

    items: tuple[T, ...]
    limit: int
    after: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class OldItems(Generic[T]):
    """Items that a list had before all others: so many that each is made only when it is shown."""

    count: int
    make: Callable[[int, str], T]
    """Makes an item from its position and its id."""

    def item(self, position: int) -> T:
        """Return the item at a position; the oldest is at 0."""
        return self.make(position, self.id_at(position))

    def id_at(self, position: int) -> str:
        """Return the id of the item at a position, as long as a ULID."""
        return f"{_OLD}{position:023}"

    def position(self, item_id: str) -> int | None:
        """Return the position of an item; None if it is none of these."""
        digits = item_id.removeprefix(_OLD)
        position = int(digits) if item_id.startswith(_OLD) and digits.isdecimal() else self.count
        return position if position < self.count else None


def read_page_request(query: Mapping[str, str], page_max: int) -> PageRequest | None:
    """Read `after`, `before` and `limit`; None if one is invalid. A limit above the maximum is reduced."""
    limit = query.get("limit", f"{_LIMIT}")
    if not limit.isdecimal() or int(limit) < 1:
        return None
    after, before = query.get("after"), query.get("before")
    try:
        return PageRequest(min(int(limit), _LIMIT_MAX, page_max), _read_cursor(after), _read_cursor(before))
    except ValueError:
        return None


def cursor(item_id: str | None) -> str | None:
    """Return an item's id as an opaque cursor."""
    return None if item_id is None else base64.urlsafe_b64encode(item_id.encode()).decode()


def _read_cursor(given: str | None) -> str | None:
    if not given:
        return None
    try:
        return base64.b64decode(given, altchars=b"-_", validate=True).decode()
    except binascii.Error as fault:
        raise ValueError("not a cursor") from fault


class PagedList(Generic[T]):
    """All items of one kind on one account, in the order in which they were listed."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, str]] = []  # a heap: the item to be listed next is at the top
        self._listed: list[str] = []
        self._positions: dict[str, int] = {}
        self._items: dict[str, T] = {}

    def add(self, at: datetime, item_id: str, item: T) -> None:
        """List an item from `at` on."""
        self._items[item_id] = item
        heapq.heappush(self._waiting, (at, item_id))

    def page(
        self,
        wanted: PageRequest,
        now: datetime,
        *,
        oldest_first: bool,
        shown: Callable[[T], bool],
        old: OldItems[T] | None = None,
    ) -> Page[T] | None:
        """Return a page of the items that `shown` accepts, or None if the cursor is not in this list.

        `old` are on the list as well, and older than all others. They are always shown.
        """
        self._list_due_items(now)
        if any(self._position(item_id, old) is None for item_id in {wanted.after, wanted.before} - {None}):
            return None
        step = 1 if oldest_first else -1
        backwards = wanted.before is not None and wanted.after is None
        found = list(islice(self._walk(wanted, -step if backwards else step, shown, old), wanted.limit + 1))
        more, found = len(found) > wanted.limit, found[: wanted.limit]
        if backwards:
            found.reverse()
        ids = [item_id for item_id, _ in found]
        return Page(tuple(item for _, item in found), wanted.limit, *_neighbour_ids(ids, wanted, more=more))

    def _list_due_items(self, now: datetime) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            item_id = heapq.heappop(self._waiting)[1]
            self._positions[item_id] = len(self._listed)
            self._listed.append(item_id)

    def _position(self, item_id: str | None, old: OldItems[T] | None) -> int | None:
        """Return the position of an item, counted from the oldest; None if it is not on the list."""
        if item_id in self._positions:
            return (old.count if old else 0) + self._positions[item_id]
        return old.position(item_id) if old and item_id else None

    def _walk(
        self, wanted: PageRequest, step: int, shown: Callable[[T], bool], old: OldItems[T] | None
    ) -> Iterator[tuple[str, T]]:
        """Yield items with their ids from the cursor, or from the first end, to the other end."""
        count_old = old.count if old else 0
        count = count_old + len(self._listed)
        start = self._position(wanted.after or wanted.before, old)
        position = start + step if start is not None else 0 if step > 0 else count - 1
        while 0 <= position < count:
            if old and position < count_old:
                yield old.id_at(position), old.item(position)
            elif shown(self._items[item_id := self._listed[position - count_old]]):
                yield item_id, self._items[item_id]
            position += step


def _neighbour_ids(ids: list[str], wanted: PageRequest, *, more: bool) -> tuple[str | None, str | None]:
    """Return the ids for the pages after and before this one."""
    if not ids:
        return None, None
    if wanted.before is not None and wanted.after is None:
        return ids[-1], ids[0] if more else None
    return ids[-1] if more else None, ids[0] if wanted.after is not None else None
