"""Swift's lists: items appear after a delay, and pages are found by cursors."""

import base64
import binascii
import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, Generic, TypeVar

_LIMIT: Final = 50
_LIMIT_MAX: Final = 100

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


def read_page_request(query: Mapping[str, str]) -> PageRequest | None:
    """Read `after`, `before` and `limit`; None if one is invalid. A limit above the maximum is reduced."""
    limit = query.get("limit", f"{_LIMIT}")
    if not limit.isdecimal() or int(limit) < 1:
        return None
    after, before = query.get("after"), query.get("before")
    try:
        return PageRequest(min(int(limit), _LIMIT_MAX), _read_cursor(after), _read_cursor(before))
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
        self, wanted: PageRequest, now: datetime, *, oldest_first: bool, shown: Callable[[T], bool]
    ) -> Page[T] | None:
        """Return a page of the items that `shown` accepts, or None if the cursor is not in this list."""
        self._list_due_items(now)
        cursors = {wanted.after, wanted.before} - {None}
        if not cursors <= self._positions.keys():
            return None
        step = 1 if oldest_first else -1
        backwards = wanted.before is not None and wanted.after is None
        ids = list(islice(self._walk(wanted, -step if backwards else step, shown), wanted.limit + 1))
        more, ids = len(ids) > wanted.limit, ids[: wanted.limit]
        if backwards:
            ids.reverse()
        items = tuple(self._items[item_id] for item_id in ids)
        return Page(items, wanted.limit, *_neighbour_ids(ids, wanted, more=more))

    def _list_due_items(self, now: datetime) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            item_id = heapq.heappop(self._waiting)[1]
            self._positions[item_id] = len(self._listed)
            self._listed.append(item_id)

    def _walk(self, wanted: PageRequest, step: int, shown: Callable[[T], bool]) -> Iterator[str]:
        """Yield ids from the cursor, or from the first end, to the other end."""
        start = wanted.after or wanted.before
        position = self._positions[start] + step if start is not None else 0 if step > 0 else len(self._listed) - 1
        while 0 <= position < len(self._listed):
            item_id = self._listed[position]
            if shown(self._items[item_id]):
                yield item_id
            position += step


def _neighbour_ids(ids: list[str], wanted: PageRequest, *, more: bool) -> tuple[str | None, str | None]:
    """Return the ids for the pages after and before this one."""
    if not ids:
        return None, None
    if wanted.before is not None and wanted.after is None:
        return ids[-1], ids[0] if more else None
    return ids[-1] if more else None, ids[0] if wanted.after is not None else None
