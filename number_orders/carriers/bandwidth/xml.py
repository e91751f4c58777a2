"""Write and read the XML of Bandwidth's orders.

Readers return plain values and accept much: elements are found by name in any order and namespace, with or without
wrappers, and an unreadable number or date costs only that number or date. What is not XML, or is another document than
the one asked for, raises `UnreadableAnswer`.
Does not know what the values mean for an order.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape

from number_orders.carriers.bandwidth.elements import (
    child_text,
    child_texts,
    children,
    descendants,
    local_name,
    next_page,
    parse,
    parse_count,
    parse_number,
    parse_number_loosely,
    text_of,
)
from number_orders.carriers.bandwidth.facts import CARRIER, DISCONNECT_MODE, LIST_ROOT
from number_orders.carriers.bandwidth.search import search_fields, search_type, xml_bool
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import OrderRequest
from number_orders.orders.numbers import E164

_DOCUMENT_NAMES: Final = {"OrderResponse": "an order", "DisconnectTelephoneNumberOrderResponse": "a disconnect"}
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
    """One entry of an ErrorList, or a ResponseStatus: Bandwidth's code and words."""

    code: str | None
    text: str | None
    e164: E164 | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.text) if part) or "an error without code or words"


@dataclass(frozen=True, slots=True)
class NumberList:
    """The numbers of a list, each once."""

    listed: tuple[E164, ...] = ()
    invalid: frozenset[E164] = frozenset()
    """Those of them that no numbering plan allows."""
    unreadable: tuple[str, ...] = ()
    """The entries that are no numbers, as they are written."""


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as Bandwidth shows it. What the answer does not have is None or empty."""

    carrier_order_id: str | None
    reference: str | None
    """Bandwidth's CustomerOrderId, which is our reference."""
    status: str | None
    completed: NumberList
    failed: NumberList
    errors: tuple[CarrierError, ...]
    completed_quantity: int | None
    failed_quantity: int | None
    summary: str | None
    ordered_quantity: int | None
    """How many numbers were ordered by criteria."""
    ordered: tuple[E164, ...]
    """The numbers that were ordered by name."""
    created_at: datetime | None = None
    order_type: str | None = None
    """Bandwidth's name for how the numbers were chosen: by name, or by which search."""
    search: Mapping[str, str] = field(default_factory=dict)
    """The fields of the search, by their names in lower case."""


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """One order in the list of orders."""

    carrier_order_id: str | None
    reference: str | None
    status: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of the list of orders. `next_page` is the `page` parameter of the next one, if there is one."""

    orders: tuple[ListedOrder, ...]
    total: int | None
    next_page: str | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """The errors of an answer that refuses something. If it has a `carrier_order_id`, it refuses nothing."""

    errors: tuple[CarrierError, ...]
    carrier_order_id: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class NumberView:
    """One number as Bandwidth shows it: its account, its status, and the order that bought it."""

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
    """Return the body of an order. Every value that has a default at Bandwidth and matters is sent explicitly.

    Source: Bandwidth's page "Order Numbers"; Bandwidth/api-docs, site/specs/numbers_v2.yml.
    """
    root = Element("Order")
    for name, value in _order_fields(request, reference, site_id, peer_id):
        SubElement(root, name).text = value
    root.append(_existing_numbers(request) if request.numbers else _search_and_order(request))
    return _document(root)


def write_close_order(request: OrderRequest, *, reference: str) -> bytes:
    """Return the body that closes a backorder. It repeats the labels, because leaving them out might clear them.

    Source: Bandwidth/bandwidth.github.io, numbers/guides/advancedOrdering.md.
    """
    root = Element("Order")
    if request.name:
        SubElement(root, "Name").text = request.name
    SubElement(root, "CustomerOrderId").text = reference
    SubElement(root, "CloseOrder").text = "true"
    return _document(root)


def write_disconnect(request: OrderRequest, *, reference: str) -> bytes:
    """Return the body of a disconnect. It always has a name, because older documents require one."""
    root = Element("DisconnectTelephoneNumberOrder")
    SubElement(root, "Name").text = request.name or reference
    SubElement(root, "CustomerOrderId").text = reference
    wanted = SubElement(root, "DisconnectTelephoneNumberOrderType")
    _add_numbers(wanted, request)
    SubElement(wanted, "DisconnectMode").text = DISCONNECT_MODE
    if "protected" in request.options:
        SubElement(wanted, "Protected").text = str(request.options["protected"])
    return _document(root)


def write_reservation(e164: E164) -> bytes:
    """Return the body that reserves a number."""
    root = Element("Reservation")
    SubElement(root, "ReservedTn").text = e164
    return _document(root)


def _document(root: Element) -> bytes:
    return _DECLARATION + _serialized(root).encode(errors="xmlcharrefreplace")


def _serialized(element: Element) -> str:
    """Serialize an element that has either text or children, and no attributes, in a fifth of ElementTree's time."""
    inside = "".join(map(_serialized, element)) or escape(element.text or "")
    return f"<{element.tag}>{inside}</{element.tag}>"


def read_order(body: bytes) -> OrderView:
    """Read the answer to a POST or GET of one order. Both have the same shape.

    Raises:
        UnreadableAnswer: Not XML, not an OrderResponse, or with two different statuses.
    """
    return _read(body, "OrderResponse", "Order", "CompletedNumbers")


def read_disconnect(body: bytes) -> OrderView:
    """Read the answer to a POST or GET of one disconnect. The disconnected numbers are its completed ones.

    Raises:
        UnreadableAnswer: Not XML, not about a disconnect, or with two different statuses.
    """
    return _read(body, "DisconnectTelephoneNumberOrderResponse", "orderRequest", "DisconnectedTelephoneNumberList")


def _read(body: bytes, root_name: str, echo_name: str, done_name: str) -> OrderView:
    root = parse(body)
    if local_name(root) != root_name:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not {_DOCUMENT_NAMES[root_name]}", body)
    statuses = {text for text in map(text_of, children(root, "OrderStatus")) if text}
    if len(statuses) > 1:
        raise UnreadableAnswer(CARRIER, "an order with two statuses", body)
    echo = next(children(root, echo_name), None)
    shown, echoed = child_texts(root), child_texts(echo)
    chosen = next((one for one in echo if local_name(one).endswith("OrderType")), None) if echo is not None else None
    return OrderView(
        carrier_order_id=echoed.get("id"),
        reference=echoed.get("customerorderid"),
        status=next(iter(statuses), None),
        completed=_numbers(descendants(root, done_name)),
        failed=_numbers(descendants(root, "FailedNumbers")),
        errors=_errors(root),
        completed_quantity=parse_count(shown.get("completedquantity")),
        failed_quantity=parse_count(shown.get("failedquantity")),
        summary=shown.get("summary"),
        ordered_quantity=_ordered_quantity(echo),
        ordered=_numbers([echo]).listed if echo is not None else (),
        created_at=read_moment(echoed.get("ordercreatedate")),
        order_type=local_name(chosen) if chosen is not None else None,
        search=child_texts(chosen),
    )


def _ordered_quantity(echo: Element | None) -> int | None:
    """Return the quantity of a search in the echo of an order. An order by name has none."""
    element = next(descendants(echo, "Quantity"), None) if echo is not None else None
    return parse_count(text_of(element)) if element is not None else None


def read_numbers(body: bytes) -> NumberList:
    """Read the list of one order's numbers.

    Raises:
        UnreadableAnswer: Not XML, or not a list of numbers.
    """
    root = parse(body)
    if local_name(root) not in {"TelephoneNumbers", "TNs"}:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not a list of numbers", body)
    return _numbers([root])


def read_number(body: bytes) -> NumberView:
    """Read what Bandwidth shows of one number.

    Raises:
        UnreadableAnswer: Not XML, or not about a number.
    """
    root = parse(body)
    if local_name(root) != "TelephoneNumberResponse":
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not about a number", body)
    return NumberView(*(child_text(root, name) for name in ("OrderId", "AccountId", "Status")))


def read_reservation(body: bytes) -> ReservationView:
    """Read a reservation. Looked up by id and by number, it has different names and capitals.

    Raises:
        UnreadableAnswer: Not XML, or not a reservation.
    """
    root = parse(body)
    if local_name(root) not in {"ReservationResponse", "TNReservation"}:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not a reservation", body)
    shown = next(children(root, "Reservation"), root)
    number = child_text(shown, "ReservedTn")
    return ReservationView(
        reservation_id=child_text(shown, "ReservationId"),
        e164=parse_number(number) if number else None,
        account_id=child_text(shown, "AccountId", "Account"),
        expires_s=parse_count(child_text(shown, "ReservationExpires")),
    )


def read_page(body: bytes) -> OrderPage:
    """Read one page of the list of orders.

    Raises:
        UnreadableAnswer: Not XML, or not a list of orders.
    """
    root = parse(body)
    if local_name(root) != LIST_ROOT:
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not a list of orders", body)
    total = next((parse_count(text_of(one)) for one in descendants(root, "TotalCount")), None)
    return OrderPage(
        orders=tuple(_listed(item) for item in descendants(root, "OrderIdUserIdDate")),
        total=total,
        next_page=next_page(root),
    )


def read_rejection(body: bytes) -> Rejection:
    """Read the errors of any `…Response`: those of a list in it, or its ResponseStatus.

    Raises:
        UnreadableAnswer: Not XML, or not a `…Response`.
    """
    root = parse(body)
    if not local_name(root).endswith("Response"):
        raise UnreadableAnswer(CARRIER, f"<{local_name(root):.40}> is not an answer of Bandwidth's", body)
    echo = next((child for child in root if local_name(child) in {"Order", "orderRequest"}), None)
    return Rejection(_errors(root), child_text(echo, "id"), child_text(echo, "CustomerOrderId"))


def read_errors(body: bytes) -> tuple[CarrierError, ...]:
    """Read the errors of any document.

    Raises:
        UnreadableAnswer: Not XML.
    """
    return _errors(parse(body))


def read_moment(text: str | None) -> datetime | None:
    """Read a moment in any of the five ways in which Bandwidth writes one; return None for anything else."""
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


def _order_fields(
    request: OrderRequest, reference: str, site_id: str, peer_id: str | None
) -> Iterator[tuple[str, str]]:
    options = request.options
    yield "CustomerOrderId", reference
    if request.name:
        yield "Name", request.name
    yield "SiteId", str(options.get("site_id", site_id))
    if peer := options.get("peer_id", peer_id):
        yield "PeerId", str(peer)
    yield "PartialAllowed", xml_bool(request.allow_partial)
    yield "BackOrderRequested", xml_bool(request.allow_backorder)
    if package := options.get("voice_configuration_package_id"):
        yield "VoiceConfigurationPackageId", str(package)
    if package := options.get("requirements_package_id"):
        yield "RequirementsPackageId", str(package)
    if "auto_activate" in options:
        yield "AutoActivate", xml_bool(bool(options["auto_activate"]))


def _existing_numbers(request: OrderRequest) -> Element:
    wanted = Element("ExistingTelephoneNumberOrderType")
    _add_numbers(wanted, request)
    reservations = request.options.get("reservation_ids")
    if isinstance(reservations, Iterable):
        held = SubElement(wanted, "ReservationIdList")
        for reservation in reservations:
            SubElement(held, "ReservationId").text = str(reservation)
    return wanted


def _add_numbers(wanted: Element, request: OrderRequest) -> None:
    listing = SubElement(wanted, "TelephoneNumberList")
    for number in request.numbers:
        SubElement(listing, "TelephoneNumber").text = number


def _search_and_order(request: OrderRequest) -> Element:
    assert request.criteria is not None, "an order has numbers or criteria; the contract checks it"
    wanted = Element(search_type(request.criteria))
    SubElement(wanted, "Quantity").text = str(request.quantity)
    for name, value in search_fields(request.criteria):
        SubElement(wanted, name).text = value
    return wanted


def _numbers(wrappers: Iterable[Element]) -> NumberList:
    """Return the numbers below `wrappers`: each in a `FullNumber`, in a `TelephoneNumber`, or in both, nested."""
    listed: dict[E164, None] = {}
    invalid: set[E164] = set()
    unreadable: dict[str, None] = {}
    for wrapper in wrappers:
        for element in descendants(wrapper, "FullNumber", "TelephoneNumber"):
            if not (text := text_of(element)):
                continue
            if number := parse_number(text):
                listed[number] = None
            elif number := parse_number_loosely(text):
                listed[number] = None
                if not _is_valid(number):
                    invalid.add(number)
            else:
                unreadable[text] = None
    return NumberList(tuple(listed), frozenset(invalid), tuple(unreadable))


def _is_valid(number: E164) -> bool:
    return parse_number(number) == number


def _errors(root: Element) -> tuple[CarrierError, ...]:
    return tuple(
        CarrierError(
            code=child_text(error, "Code", "ErrorCode"),
            text=child_text(error, "Description"),
            e164=next(iter(_numbers([error]).listed), None),
        )
        for error in descendants(root, "Error", "ResponseStatus")
    )


def _listed(item: Element) -> ListedOrder:
    return ListedOrder(
        carrier_order_id=child_text(item, "orderId"),
        reference=child_text(item, "CustomerOrderId"),
        status=child_text(item, "OrderStatus"),
        created_at=read_moment(child_text(item, "OrderDate")),
    )
