"""The list of orders: query, filters, pages.

A page is named by the id of its first order, and the first page by `1`.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from number_orders.sandbox.bandwidth.order_book import Order
from number_orders.sandbox.bandwidth.vocabulary import CarrierError, error

SCANNING_FILTERS: Final = {"status", "startdate", "enddate", "userid"}
_LIST_SIZE_MAX: Final = 1000
_LISTED_STATUSES: Final = {"COMPLETE", "PARTIAL", "FAILED", "BACKORDERED"}


class Page:
    """A page of the list in either direction, without a copy of the list."""

    def __init__(self, pool: Sequence[Order], start: int, size: int, *, oldest_first: bool) -> None:
        self._pool = pool
        self._start = start
        self._size = size
        self._oldest_first = oldest_first

    def orders(self) -> list[Order]:
        """Return the orders on this page."""
        end = min(self._start + self._size, len(self._pool))
        return [self._at(position) for position in range(self._start, end)]

    def neighbours(self) -> dict[str, str | None]:
        """Return the pages to link: `first` always, the others if they exist."""
        count, after, before = len(self._pool), self._start + self._size, self._start - self._size
        return {
            "first": "1",
            "next": self._at(after).order_id if after < count else None,
            "previous": None if self._start == 0 else "1" if before <= 0 else self._at(before).order_id,
            "last": self._at((count - 1) // self._size * self._size).order_id if after < count else None,
        }

    def _at(self, position: int) -> Order:
        return self._pool[position] if self._oldest_first else self._pool[len(self._pool) - 1 - position]


def listing_error(query: QueryParams) -> CarrierError | None:
    """Return what is wrong with the query, or None."""
    size = query.get("size", "")
    if not query.get("page") or not size:
        return CarrierError(1001, "Size and page parameters are required")
    if not size.isdigit() or not 1 <= int(size) <= _LIST_SIZE_MAX:
        return CarrierError(1006, "The size parameter is invalid; it may be at most 1000.")
    if ("startdate" in query) != ("enddate" in query):
        return CarrierError(1003, "startdate and enddate must be given together")
    if any(not _is_short_date(query[name]) for name in ("startdate", "enddate") if name in query):
        return CarrierError(1003, "Dates are written YY-MM-DD")
    status = query.get("status")
    return error(15518) if status is not None and status.upper() not in _LISTED_STATUSES else None


def _is_short_date(value: str) -> bool:
    return re.fullmatch(r"\d{2}-\d{2}-\d{2}", value) is not None


def matches(order: Order, query: QueryParams, now: datetime) -> bool:
    """Return whether an order matches the filters that are checked order by order."""
    status, day = query.get("status"), f"{order.created_at:%y-%m-%d}"
    return (
        (status is None or order.stage(now).status == status.upper())
        and query.get("startdate", day) <= day <= query.get("enddate", day)
        and query.get("userid", "sandbox-user") == "sandbox-user"
    )


def filters_as_query(query: QueryParams) -> str:
    """Return the filters as a query string for the page links."""
    rest = [(name, value) for name, value in query.multi_items() if name not in {"page", "size"}]
    return f"&{urlencode(rest)}" if rest else ""
