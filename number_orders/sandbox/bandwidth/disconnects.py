"""Disconnects at the sandbox Bandwidth: their requests, their outcomes, and their XML.

When a disconnect ends, the numbers that this account bought are released. They then age for a while, in which nobody
can buy them, and return to stock. Any other number fails by itself with 5006. As with orders, everything is decided
when a disconnect is accepted; reading it later compares its moments with the clock.
"""

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from random import Random
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from starlette.datastructures import QueryParams

from number_orders.sandbox.bandwidth import xml
from number_orders.sandbox.bandwidth.order_book import OrderBook
from number_orders.sandbox.bandwidth.order_requests import OrderRefused, e164_of
from number_orders.sandbox.bandwidth.outcomes import COMPLETE, FAILED, PARTIAL, RECEIVED
from number_orders.sandbox.bandwidth.vocabulary import QUANTITY_MAX, CarrierError, error
from number_orders.sandbox.behaviour import Behaviour, random_duration
from number_orders.sandbox.clock import iso

AGING: Final = "Aging"

_ROOT: Final = "DisconnectTelephoneNumberOrder"
_TYPE: Final = "DisconnectTelephoneNumberOrderType"
_ANSWER: Final = "DisconnectTelephoneNumberOrderResponse"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9 -]{0,40}")
_PROTECTED: Final = {"", "TRUE", "FALSE", "UNCHANGED"}
_SIZE_DEFAULT: Final = 300
_SIZE_MAX: Final = 5000
_SHORT_DATE: Final = re.compile(r"\d{2}-\d{2}-\d{2}")
_OUTCOMES: Final = {COMPLETE: "COMPLETED", PARTIAL: "PARTIAL", FAILED: "FAILED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """One accepted disconnect and its outcome."""

    order_id: str
    customer_order_id: str
    name: str
    created_at: datetime
    listed_at: datetime
    ends_at: datetime
    numbers: tuple[str, ...]
    released: tuple[str, ...]
    errors: tuple[CarrierError, ...]
    type_xml: str

    def status(self, now: datetime) -> str:
        """Return the status at `now`."""
        if now < self.ends_at:
            return RECEIVED
        if not self.errors:
            return COMPLETE
        return PARTIAL if self.released else FAILED


class Disconnects:
    """All disconnects of one account."""

    def __init__(self, book: OrderBook) -> None:
        self._book = book
        self._disconnects: dict[str, Disconnect] = {}
        self._aging_from: dict[str, datetime] = {}  # number: the moment at which it starts aging
        self._aging: list[
            tuple[datetime, int, tuple[str, ...]]
        ] = []  # a heap: the numbers that return to stock first are at the top
        self._arrivals = count()

    def accept(self, body: bytes, behaviour: Behaviour, now: datetime, *, order_id: str) -> Disconnect:
        """Accept a disconnect.

        Raises:
            OrderRefused: with every reason, as Bandwidth's ErrorList has them.
        """
        root, type_element, numbers = _read(body)
        reference = _text(root, "CustomerOrderId")
        dice = Random(f"{behaviour.seed}/{reference or order_id}/disconnect")
        errors = tuple(_not_owned(e164) for e164 in numbers if not self._is_owned(e164, now))
        not_owned = {reason.e164 for reason in errors}
        disconnect = Disconnect(
            order_id=order_id,
            customer_order_id=reference,
            name=_text(root, "Name") or _text(root, "name"),
            created_at=now,
            listed_at=now + random_duration(behaviour.listing_delay_s, dice),
            ends_at=now + random_duration(behaviour.processing_s, dice),
            numbers=numbers,
            released=tuple(e164 for e164 in numbers if e164 not in not_owned),
            errors=errors,
            type_xml=tostring(type_element, encoding="unicode").strip(),
        )
        self._schedule_release(disconnect, disconnect.ends_at + random_duration(behaviour.aging_s, dice))
        return disconnect

    def return_aged_numbers(self, now: datetime) -> None:
        """Put numbers whose aging is over back into stock."""
        while self._aging and self._aging[0][0] <= now:
            numbers = heapq.heappop(self._aging)[2]
            self._book.release_numbers(numbers)
            for e164 in numbers:
                del self._aging_from[e164]

    def get(self, order_id: str) -> Disconnect | None:
        """Return the disconnect with this id."""
        return self._disconnects.get(order_id)

    def is_aging(self, e164: str, now: datetime) -> bool:
        """Return whether a number was released and cannot be bought yet."""
        return e164 in self._aging_from and self._aging_from[e164] <= now

    def listed(self, query: QueryParams, now: datetime, *, oldest_first: bool) -> list[Disconnect]:
        """Return the disconnects that match the filters of the list."""
        found = [each for each in self._disconnects.values() if each.listed_at <= now and _matches(each, query, now)]
        return found if oldest_first else found[::-1]

    def as_json(self, now: datetime, since: datetime | None) -> Iterator[dict[str, Any]]:
        """Return every disconnect made since then, as it really is."""
        return (_reported(d, now) for d in self._disconnects.values() if since is None or d.created_at >= since)

    def _is_owned(self, e164: str, now: datetime) -> bool:
        return e164 not in self._aging_from and self._book.owner(e164, now) is not None

    def _schedule_release(self, disconnect: Disconnect, aged_at: datetime) -> None:
        self._disconnects[disconnect.order_id] = disconnect
        self._aging_from.update(dict.fromkeys(disconnect.released, disconnect.ends_at))
        heapq.heappush(self._aging, (aged_at, next(self._arrivals), disconnect.released))


# -- requests -----------------------------------------------------------------------------------------


def _read(body: bytes) -> tuple[Element, Element, tuple[str, ...]]:
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error_found:
        raise OrderRefused((error(5002),)) from error_found
    type_element = root.find(_TYPE) if root.tag == _ROOT else None
    if type_element is None:
        raise OrderRefused((error(5002),), root)
    listed = (number.text or "" for number in type_element.iterfind("TelephoneNumberList/TelephoneNumber"))
    numbers = tuple(map(e164_of, listed))
    errors = tuple(_errors(root, type_element, numbers))
    if errors:
        raise OrderRefused(errors, root)
    return root, type_element, numbers


def _errors(root: Element, type_element: Element, numbers: Sequence[str]) -> Iterator[CarrierError]:
    if not numbers:
        yield error(5001)
    if len(numbers) > QUANTITY_MAX:
        yield error(5095, QUANTITY_MAX)
    if len(set(numbers)) < len(numbers):
        yield error(5093)
    if not _REFERENCE.fullmatch(_text(root, "CustomerOrderId")):
        yield error(5052)
    mode = _text(type_element, "DisconnectMode").upper()
    if mode == "PURGE":
        yield CarrierError(5085, "The disconnect mode is not allowed for this account.")
    elif mode not in {"", "NORMAL"}:
        yield CarrierError(5084, "The disconnect mode is invalid.")
    if _text(type_element, "Protected").upper() not in _PROTECTED:
        yield CarrierError(5108, "The Protected value is invalid.")


def _text(root: Element, tag: str) -> str:
    return (root.findtext(tag) or "").strip()


def _not_owned(e164: str) -> CarrierError:
    text = f"The telephone number {e164} could not be disconnected since it is not associated with your account"
    return CarrierError(5006, text, e164)


# -- the list ---------------------------------------------------------------------------------------


def listing_error(query: QueryParams) -> CarrierError | None:
    """Return what is wrong with the query of the list, or None; `page` and `size` are optional here."""
    size = query.get("size", str(_SIZE_DEFAULT))
    if not size.isdigit() or not 1 <= int(size) <= _SIZE_MAX:
        return CarrierError(1006, f"The size parameter is invalid; it may be at most {_SIZE_MAX}.")
    dates = [query[name] for name in ("startdate", "enddate") if name in query]
    if len(dates) == 1 or not all(map(_SHORT_DATE.fullmatch, dates)):
        return CarrierError(1003, "startdate and enddate go together and are written YY-MM-DD")
    return None


def page_of(found: Sequence[Disconnect], query: QueryParams) -> tuple[Sequence[Disconnect], str | None] | None:
    """Return one page and the name of the next, if any; None if the page does not exist."""
    page, size = query.get("page", "1"), int(query.get("size", _SIZE_DEFAULT))
    start = 0 if page == "1" else next((i for i, each in enumerate(found) if each.order_id == page), None)
    if start is None:
        return None
    following = found[start + size : start + size + 1]
    return found[start : start + size], following[0].order_id if following else None


def _matches(disconnect: Disconnect, query: QueryParams, now: datetime) -> bool:
    status, day = query.get("status"), f"{disconnect.created_at:%y-%m-%d}"
    return (
        (status is None or disconnect.status(now) == status.upper())
        and query.get("startdate", day) <= day <= query.get("enddate", day)
        and query.get("userid", "sandbox-user") == "sandbox-user"
    )


# -- answers ------------------------------------------------------------------------------------------


def accepted(disconnect: Disconnect) -> bytes:
    """Write the 201."""
    return xml.document(xml.element(_ANSWER, _echo(disconnect), xml.text("OrderStatus", RECEIVED)))


def refusal(refused: OrderRefused) -> bytes:
    """Write the 400: the reasons, and the request without an id."""
    sent = refused.echo
    parts = (tostring(child, encoding="unicode").strip() for child in (() if sent is None else sent))
    echo = xml.element("orderRequest", *parts) if sent is not None else ""
    return xml.document(xml.element(_ANSWER, xml.error_list(refused.errors), echo))


def as_xml(disconnect: Disconnect, now: datetime) -> bytes:
    """Write the answer to GET /disconnects/{id}; unlike an order's, it contains the id."""
    done, status = now >= disconnect.ends_at, disconnect.status(now)
    # In reverse order, as captured.
    released = [xml.text("TelephoneNumber", e164) for e164 in reversed(disconnect.released)] if done else []
    return xml.document(
        xml.element(
            _ANSWER,
            xml.element("DisconnectedTelephoneNumberList", *released) if released else "",
            xml.error_list(disconnect.errors) if done and disconnect.errors else "",
            _echo(disconnect),
            xml.text("OrderStatus", status),
        )
    )


def unknown() -> bytes:
    """Write the 404 to an unknown id."""
    return xml.status_refusal(_ANSWER, error(5061))


def listing(shown: Iterable[Disconnect], total: int, page_links: str, now: datetime) -> bytes:
    """Write the list. Its entries have no CustomerOrderId and their own date format."""
    items = (
        xml.element(
            "OrderIdUserIdDate",
            xml.text("CountOfTNs", len(each.released) if now >= each.ends_at else 0),
            xml.text("userId", "sandbox-user"),
            xml.text("lastModifiedDate", _dashed(min(now, each.ends_at))),
            xml.text("OrderDate", _dashed(each.created_at)),
            xml.text("OrderType", "disconnect"),
            xml.text("OrderId", each.order_id),
            xml.text("OrderStatus", each.status(now)),
        )
        for each in shown
    )
    inner = xml.element("ListOrderIdUserIdDate", xml.text("TotalCount", total), page_links, *items)
    return xml.document(xml.element("ResponseSelectWrapper", inner))


def _echo(disconnect: Disconnect) -> str:
    return xml.element(
        "orderRequest",
        xml.label("Name", disconnect.name),
        xml.label("CustomerOrderId", disconnect.customer_order_id),
        xml.text("OrderCreateDate", xml.date(disconnect.created_at)),
        xml.text("id", disconnect.order_id),
        disconnect.type_xml,
    )


def _dashed(moment: datetime) -> str:
    """Format a moment with dashes in its time, as captured lists of disconnects do."""
    return f"{moment:%Y-%m-%dT%H-%M-%SZ}"


def _reported(disconnect: Disconnect, now: datetime) -> dict[str, Any]:
    ended, status = now >= disconnect.ends_at, disconnect.status(now)
    return {
        "carrier": "bandwidth",
        "order_id": disconnect.order_id,
        "customer_order_id": disconnect.customer_order_id,
        "kind": "disconnect",
        "quantity": len(disconnect.numbers),
        "fate": "ordinary",
        "status": status,
        "outcome": _OUTCOMES.get(status),
        "created_at": iso(disconnect.created_at),
        "ended_at": iso(disconnect.ends_at) if ended else None,
        "bought": [],
        "released": list(disconnect.released) if ended else [],
        "failed": [reason.e164 for reason in disconnect.errors] if ended else [],
        "set_aside": [],
    }
