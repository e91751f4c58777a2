"""Bandwidth's XML of orders, read and written; elements are found by `bandwidth_elements`.

Readers return plain values and are deliberately lax: elements are found by their local names, in any
order and namespace, with wrappers or without, and an unreadable number or date costs that number or
date alone. What is not XML, or is another document than asked for, raises `UnreadableAnswer`.
Knows nothing of what the values mean for an order.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape

from number_orders.carriers.bandwidth.elements import (
    below,
    child_text,
    child_texts,
    children,
    count_of,
    local_name,
    next_page,
    number_of,
    parse,
    text_of,
)
from number_orders.carriers.bandwidth.facts import CARRIER, DISCONNECT_MODE, LIST_ROOT
from number_orders.carriers.bandwidth.search import search_fields, search_type, spoken
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import OrderRequest
from number_orders.orders.numbers import E164

_A: Final = {"OrderResponse": "an order", "DisconnectTelephoneNumberOrderResponse": "a disconnect"}
_DECLARATION: Final = b"<?xml version='1.0' encoding='UTF-8'?>\n"
_MOMENT: Final = re.compile(
    r"""
    (\d{4}) - (\d{2}) - (\d{2})
    (?: [T\ ] (\d{2}) (?: [:-] (\d{2}) (?: [:-] (\d{2}) (?: \.\d+ )? )? )? )?
    \s* (?: Z | ([+-]) (\d{2}) :? (\d{2}) )?
    """,
    re.ASCII | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class CarrierError:
    """One entry of an ErrorList, or a ResponseStatus, in Bandwidth's code and words."""

    code: str | None
    text: str | None
    e164: E164 | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.text) if part) or "an error without code or words"


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers as listed, each once, and how many entries were no numbers."""

    listed: tuple[E164, ...] = ()
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as Bandwidth shows it. What is missing from the answer is None or empty."""

    carrier_order_id: str | None
    reference: str | None
    """Their CustomerOrderId, our order id."""
    status: str | None
    completed: Numbers
    failed: Numbers
    errors: tuple[CarrierError, ...]
    completed_quantity: int | None
    failed_quantity: int | None
    summary: str | None


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """One order in the list of orders."""

    carrier_order_id: str | None
    reference: str | None
    status: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of the list of orders. `following` starts the next page, if there is one."""

    orders: tuple[ListedOrder, ...]
    total: int | None
    following: str | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """What stands in an answer that is an error. One with a `carrier_order_id` rejects nothing."""

    errors: tuple[CarrierError, ...]
    carrier_order_id: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class NumberView:
    """One number as Bandwidth shows it: whose it is, and which order bought it."""

    carrier_order_id: str | None
    account_id: str | None
    status: str | None


@dataclass(frozen=True, slots=True)
class ReservationView:
    """One reservation as Bandwidth shows it."""

    reservation_id: str | None
    e164: E164 | None
    account_id: str | None
    expires_s: int | None


def write_order(request: OrderRequest, *, reference: str, site_id: str, peer_id: str | None) -> bytes:
    """Return the body of an order. Every default of theirs that matters is said out loud.

    Source: Bandwidth's page "Order Numbers"; Bandwidth/api-docs, site/specs/numbers_v2.yml.
    """
    root = Element("Order")
    for name, value in _envelope(request, reference, site_id, peer_id):
        SubElement(root, name).text = value
    root.append(_named(request) if request.numbers else _search(request))
    return _written(root)


def write_closing(request: OrderRequest, *, reference: str) -> bytes:
    """Return the body that closes a backorder. Its labels are said once more, lest leaving them out should clear them.

    Source: Bandwidth/bandwidth.github.io, numbers/guides/advancedOrdering.md.
    """
    root = Element("Order")
    if request.name:
        SubElement(root, "Name").text = request.name
    SubElement(root, "CustomerOrderId").text = reference
    SubElement(root, "CloseOrder").text = "true"
    return _written(root)


def write_disconnect(request: OrderRequest, *, reference: str) -> bytes:
    """Return the body of a disconnect. It is always named, since older documents require that."""
    root = Element("DisconnectTelephoneNumberOrder")
    SubElement(root, "Name").text = request.name or reference
    SubElement(root, "CustomerOrderId").text = reference
    wanted = SubElement(root, "DisconnectTelephoneNumberOrderType")
    _list_numbers(wanted, request)
    SubElement(wanted, "DisconnectMode").text = DISCONNECT_MODE
    if "protected" in request.options:
        SubElement(wanted, "Protected").text = str(request.options["protected"])
    return _written(root)


def write_reservation(e164: E164) -> bytes:
    """Return the body that reserves a number."""
    root = Element("Reservation")
    SubElement(root, "ReservedTn").text = e164
    return _written(root)


def _written(root: Element) -> bytes:
    """Return a document as bytes."""
    return _DECLARATION + _markup(root).encode(errors="xmlcharrefreplace")


def _markup(element: Element) -> str:
    """Write an element of ours, which has a text or children and nothing else, with a fifth of ElementTree's effort."""
    inside = "".join(map(_markup, element)) or escape(element.text or "")
    return f"<{element.tag}>{inside}</{element.tag}>"


def read_order(body: bytes) -> OrderView:
    """Read the answer to a POST or GET of one order; both have the same shape.

    Raises:
        UnreadableAnswer: Not XML, not an OrderResponse, or with two statuses that differ.
    """
    return _read(body, "OrderResponse", "Order", "CompletedNumbers")


def read_disconnect(body: bytes) -> OrderView:
    """Read the answer to a POST or GET of one disconnect; the numbers given up are its completed ones.

    Raises:
        UnreadableAnswer: Not XML, not about a disconnect, or with two statuses that differ.
    """
    return _read(body, "DisconnectTelephoneNumberOrderResponse", "orderRequest", "DisconnectedTelephoneNumberList")


def _read(body: bytes, root_name: str, echo_name: str, done_name: str) -> OrderView:
    root = parse(body)
    if local_name(root) != root_name:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not {_A[root_name]}", body)
    statuses = {text for text in map(text_of, children(root, "OrderStatus")) if text}
    if len(statuses) > 1:
        raise UnreadableAnswer(CARRIER, "an order with two statuses", body)
    said, echoed = child_texts(root), child_texts(next(children(root, echo_name), None))
    return OrderView(
        carrier_order_id=echoed.get("id"),
        reference=echoed.get("customerorderid"),
        status=next(iter(statuses), None),
        completed=_numbers(below(root, done_name)),
        failed=_numbers(below(root, "FailedNumbers")),
        errors=_errors(root),
        completed_quantity=count_of(said.get("completedquantity")),
        failed_quantity=count_of(said.get("failedquantity")),
        summary=said.get("summary"),
    )


def read_numbers(body: bytes) -> Numbers:
    """Read the list of the numbers of one order.

    Raises:
        UnreadableAnswer: Not XML, or no list of numbers.
    """
    root = parse(body)
    if local_name(root) not in {"TelephoneNumbers", "TNs"}:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not a list of numbers", body)
    return _numbers([root])


def read_number(body: bytes) -> NumberView:
    """Read what is known of one number.

    Raises:
        UnreadableAnswer: Not XML, or not about a number.
    """
    root = parse(body)
    if local_name(root) != "TelephoneNumberResponse":
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not about a number", body)
    return NumberView(*(child_text(root, name) for name in ("OrderId", "AccountId", "Status")))


def read_reservation(body: bytes) -> ReservationView:
    """Read a reservation, as looked up by its id or by its number: the two differ in names and capitals.

    Raises:
        UnreadableAnswer: Not XML, or no reservation.
    """
    root = parse(body)
    if local_name(root) not in {"ReservationResponse", "TNReservation"}:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is no reservation", body)
    shown = next(children(root, "Reservation"), root)
    number = child_text(shown, "ReservedTn")
    return ReservationView(
        reservation_id=child_text(shown, "ReservationId"),
        e164=number_of(number) if number else None,
        account_id=child_text(shown, "AccountId", "Account"),
        expires_s=count_of(child_text(shown, "ReservationExpires")),
    )


def read_page(body: bytes) -> OrderPage:
    """Read one page of the list of orders.

    Raises:
        UnreadableAnswer: Not XML, or no list of orders.
    """
    root = parse(body)
    if local_name(root) != LIST_ROOT:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not a list of orders", body)
    total = next((count_of(text_of(one)) for one in below(root, "TotalCount")), None)
    return OrderPage(
        orders=tuple(_listed(item) for item in below(root, "OrderIdUserIdDate")),
        total=total,
        following=next_page(root),
    )


def read_rejection(body: bytes) -> Rejection:
    """Read the errors of any answer of Bandwidth's: a list below some `…Response`, or its ResponseStatus.

    Raises:
        UnreadableAnswer: Not XML, or no `…Response`.
    """
    root = parse(body)
    if not local_name(root).endswith("Response"):
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is no answer of theirs", body)
    echo = next((child for child in root if local_name(child) in {"Order", "orderRequest"}), None)
    return Rejection(_errors(root), child_text(echo, "id"), child_text(echo, "CustomerOrderId"))


def read_errors(body: bytes) -> tuple[CarrierError, ...]:
    """Read the errors in any document of Bandwidth's.

    Raises:
        UnreadableAnswer: Not XML.
    """
    return _errors(parse(body))


def read_moment(text: str | None) -> datetime | None:
    """Read one of the five ways Bandwidth writes a moment; None when it is a sixth."""
    match = _MOMENT.match(text.strip()) if text else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    sign, off_hours, off_minutes = match.groups()[6:]
    offset = timedelta(hours=int(off_hours or 0), minutes=int(off_minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _envelope(request: OrderRequest, reference: str, site_id: str, peer_id: str | None) -> Iterator[tuple[str, str]]:
    options = request.options
    yield "CustomerOrderId", reference
    if request.name:
        yield "Name", request.name
    yield "SiteId", str(options.get("site_id", site_id))
    if peer := options.get("peer_id", peer_id):
        yield "PeerId", str(peer)
    yield "PartialAllowed", spoken(request.allow_partial)
    yield "BackOrderRequested", spoken(request.allow_backorder)
    if package := options.get("voice_configuration_package_id"):
        yield "VoiceConfigurationPackageId", str(package)
    if package := options.get("requirements_package_id"):
        yield "RequirementsPackageId", str(package)
    if "auto_activate" in options:
        yield "AutoActivate", spoken(bool(options["auto_activate"]))


def _named(request: OrderRequest) -> Element:
    wanted = Element("ExistingTelephoneNumberOrderType")
    _list_numbers(wanted, request)
    reservations = request.options.get("reservation_ids")
    if isinstance(reservations, Iterable):
        held = SubElement(wanted, "ReservationIdList")
        for reservation in reservations:
            SubElement(held, "ReservationId").text = str(reservation)
    return wanted


def _list_numbers(wanted: Element, request: OrderRequest) -> None:
    listing = SubElement(wanted, "TelephoneNumberList")
    for number in request.numbers:
        SubElement(listing, "TelephoneNumber").text = number


def _search(request: OrderRequest) -> Element:
    assert request.criteria is not None, "an order names numbers or criteria; the contract sees to it"
    wanted = Element(search_type(request.criteria))
    SubElement(wanted, "Quantity").text = str(request.quantity)
    for name, value in search_fields(request.criteria):
        SubElement(wanted, name).text = value
    return wanted


def _numbers(wrappers: Iterable[Element]) -> Numbers:
    """Collect the numbers below `wrappers`: `FullNumber`, bare or in a `TelephoneNumber`, or the latter alone."""
    read = [
        number_of(text)
        for wrapper in wrappers
        for element in below(wrapper, "FullNumber", "TelephoneNumber")
        if (text := text_of(element))
    ]
    return Numbers(tuple(dict.fromkeys(filter(None, read))), read.count(None))


def _errors(root: Element) -> tuple[CarrierError, ...]:
    return tuple(
        CarrierError(
            code=child_text(error, "Code", "ErrorCode"),
            text=child_text(error, "Description"),
            e164=next(iter(_numbers([error]).listed), None),
        )
        for error in below(root, "Error", "ResponseStatus")
    )


def _listed(item: Element) -> ListedOrder:
    return ListedOrder(
        carrier_order_id=child_text(item, "orderId"),
        reference=child_text(item, "CustomerOrderId"),
        status=child_text(item, "OrderStatus"),
        created_at=read_moment(child_text(item, "OrderDate")),
    )
