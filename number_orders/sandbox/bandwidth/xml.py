"""Bandwidth's answers as XML, in the shapes that its pages and captured replies show.

Only writes; the values are decided elsewhere. Strings are joined by hand, because the sandbox often shares a CPU core
with the client under test.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element, tostring
from xml.sax.saxutils import escape

from number_orders.sandbox.bandwidth.order_book import Order
from number_orders.sandbox.bandwidth.outcomes import COMPLETE, FAILED, PARTIAL, RECEIVED, Stage
from number_orders.sandbox.bandwidth.vocabulary import CarrierError, Kind, error
from number_orders.sandbox.behaviour import Behaviour
from number_orders.sandbox.fates import Fate
from number_orders.sandbox.geography import Place
from number_orders.sandbox.inventory import Inventory

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_VENDOR: Final = "<VendorId>49</VendorId><VendorName>Bandwidth CLEC</VendorName>"
_LABELS_ECHOED: Final = (
    "CustomerOrderId",
    "Name",
    "PeerId",
    "AutoActivate",
    "BackOrderRequested",
    "PartialAllowed",
    "SiteId",
)
# Captured links have an internal host that no client can reach; only `page` is of use.
_LINK_BASE: Final = "https://dashboard.invalid:443/v1.0"


def document(root: str) -> bytes:
    """Add the XML declaration to a root element, as captured replies have it."""
    return (_DECLARATION + root).encode()


def element(tag: str, *content: str) -> str:
    """Wrap content that is already XML."""
    return f"<{tag}>{''.join(content)}</{tag}>"


def text(tag: str, value: object) -> str:
    """Write an element that holds plain text."""
    return f"<{tag}>{escape(str(value))}</{tag}>"


def label(tag: str, value: str) -> str:
    """Write an element, or nothing if the value is empty."""
    return text(tag, value) if value else ""


def flag(tag: str, value: bool) -> str:
    """Write a boolean, in lower case as Bandwidth does."""
    return text(tag, str(value).lower())


def date(moment: datetime) -> str:
    """Write a timestamp to the millisecond, as in `2024-09-05T23:34:31.553Z`."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


# -- errors ---------------------------------------------------------------------------------------


def error_list(errors: Iterable[CarrierError]) -> str:
    """Write an ErrorList."""
    return element("ErrorList", *map(_error, errors))


def order_refusal(errors: Iterable[CarrierError], sent: Element | None) -> bytes:
    """Write the 400 to an order: the reasons, and the order without an id."""
    echo = _echo_of(sent) if sent is not None else ""
    return document(element("OrderResponse", error_list(errors), echo))


def search_refusal(reason: CarrierError) -> bytes:
    """Write the 400 to a search, whose Error is not in a list."""
    return document(element("SearchResult", _error(reason)))


def status_refusal(root: str, reason: CarrierError) -> bytes:
    """Write the body of 404s and of refused reads."""
    status = element("ResponseStatus", text("ErrorCode", reason.code), text("Description", reason.description))
    return document(element(root, status))


def _error(entry: CarrierError) -> str:
    return element(
        "Error",
        text("Code", entry.code),
        text("Description", entry.description),
        label("TelephoneNumber", entry.e164),
    )


def _echo_of(sent: Element) -> str:
    labels = (label(tag, sent.findtext(tag, "").strip()) for tag in _LABELS_ECHOED)
    types = (tostring(child, encoding="unicode").strip() for child in sent if child.tag.endswith("OrderType"))
    return element("Order", *labels, *types)


# -- searches -------------------------------------------------------------------------------------


def search_result(numbers: Iterable[str]) -> bytes:
    """Write a plain search result; without numbers it is an empty element."""
    listed = [text("TelephoneNumber", e164) for e164 in numbers]
    return _search_result("TelephoneNumberList", listed)


def search_details(numbers: Iterable[str], inventory: Inventory) -> bytes:
    """Write a search result with `enableTNDetail`."""
    listed = [element("TelephoneNumberDetail", number_detail(n, inventory.place_of(n))) for n in numbers]
    return _search_result("TelephoneNumberDetailList", listed)


def number_detail(e164: str, place: Place) -> str:
    """Write a number's details; outside North America there is no LATA, rate center or vendor."""
    head = text("CountryCodeA3", place.country) + text("PhoneNumberType", place.number_type)
    if not e164.startswith("+1"):
        where = label("City", place.city) + label("AreaCode", place.area_code)
        return f"{head}{where}<Tier>0</Tier>{text('FullNumber', e164)}"
    where = label("City", place.city) + label("LATA", place.lata) + label("RateCenter", place.rate_center)
    return f"{head}{where}{label('State', place.state)}{text('FullNumber', e164)}<Tier>0</Tier>{_VENDOR}"


def _search_result(list_tag: str, listed: list[str]) -> bytes:
    if not listed:
        return document("<SearchResult/>")
    return document(element("SearchResult", text("ResultCount", len(listed)), element(list_tag, *listed)))


# -- orders ---------------------------------------------------------------------------------------


def order_accepted(order: Order, order_id: str | None) -> bytes:
    """Write the 201 to an order; `order_id` is the id in the body, or None for a body without one."""
    id_element = text("id", order_id) if order_id is not None else ""
    body = _order(order, id_element=id_element, peer_id="", type_xml=order.request.type_xml)
    return document(element("OrderResponse", body, text("OrderStatus", RECEIVED)))


def order_status(order: Order, now: datetime, behaviour: Behaviour, inventory: Inventory, *, detail: bool) -> bytes:
    """Write the answer to GET /orders/{id}."""
    stage = order.stage(now)
    completed_quantity, failed_quantity = _quantities(order, stage)
    pending = order.request.selection.quantity - completed_quantity - failed_quantity
    return document(
        element(
            "OrderResponse",
            text("CompletedQuantity", completed_quantity),
            text("CreatedByUser", "sandbox-user"),
            _errors_of(stage, behaviour),
            _failed_numbers(order, stage),
            text("LastModifiedDate", date(stage.at)),
            text("OrderCompleteDate", date(stage.at)) if stage.is_final else "",
            _order_echo(order, stage, behaviour),
            text("OrderStatus", _status_word(order, stage, behaviour)),
            _completed_numbers(order, stage, behaviour, inventory if detail else None),
            text("Summary", _summary(order, stage)),
            text("FailedQuantity", failed_quantity),
            "" if stage.is_final else text("PendingQuantity", pending),
        )
    )


def order_numbers(numbers: Iterable[str]) -> bytes:
    """Write the answer to GET /orders/{id}/tns."""
    listed = [text("TelephoneNumber", e164) for e164 in numbers]
    return document(element("TelephoneNumbers", text("Count", len(listed)), *listed))


def _order(order: Order, *, id_element: str, peer_id: str, type_xml: str) -> str:
    request = order.request
    activate = request.auto_activate
    return element(
        "Order",
        label("CustomerOrderId", order.customer_order_id),
        label("Name", order.name),
        text("OrderCreateDate", date(order.created_at)),
        label("PeerId", peer_id),
        "" if activate is None else flag("AutoActivate", activate),
        flag("BackOrderRequested", request.selection.backorder),
        id_element,
        type_xml,
        flag("PartialAllowed", request.selection.partial_allowed),
        text("SiteId", request.site_id),
    )


def _order_echo(order: Order, stage: Stage, behaviour: Behaviour) -> str:
    """Repeat the request with its peer filled in; captured replies leave the id out."""
    selection = order.request.selection
    loses_request = behaviour.failed_loses_request and stage.status == FAILED and selection.kind is Kind.NAMED
    return _order(
        order,
        id_element=text("id", order.order_id) if behaviour.id_in_reads else "",
        peer_id=order.request.peer_id,
        type_xml=f"<{selection.kind}/>" if loses_request else order.request.type_xml,
    )


def _quantities(order: Order, stage: Stage) -> tuple[int, int]:
    """Count completed and failed numbers; for the fate `contradicts` they contradict the list, as on the page."""
    if order.fate is Fate.CONTRADICTS and stage.status == COMPLETE:
        return 0, len(stage.bought)
    if not stage.is_final:
        return len(stage.shown), 0
    return len(stage.bought), order.request.selection.quantity - len(stage.bought)  # right, though lists may lag


def _status_word(order: Order, stage: Stage, behaviour: Behaviour) -> str:
    if stage.status != COMPLETE:
        return stage.status
    if behaviour.completed_word == "mixed":
        return "COMPLETED" if order.mixed_bit else "COMPLETE"
    return behaviour.completed_word


def _errors_of(stage: Stage, behaviour: Behaviour) -> str:
    if stage.errors:
        return error_list(stage.errors)
    if stage.status == RECEIVED and behaviour.pending_error:
        return error_list([error(5019)])
    return ""


def _failed_numbers(order: Order, stage: Stage) -> str:
    """List the named numbers that were not bought, in reverse order."""
    if not stage.is_final or len(stage.bought) == order.request.selection.quantity:
        return ""
    bought = set(stage.bought)
    failed = [text("FullNumber", n) for n in reversed(order.request.selection.numbers) if n not in bought]
    return element("FailedNumbers", *failed) if failed else ""


def _completed_numbers(order: Order, stage: Stage, behaviour: Behaviour, inventory: Inventory | None) -> str:
    """List the bought numbers: flat as on the page, or each in a TelephoneNumber as captured."""
    if not stage.shown:
        return "<CompletedNumbers/>" if stage.status == FAILED else ""
    if inventory is not None:
        details = (number_detail(n, inventory.place_of(n)) for n in stage.shown)
        return element("CompletedNumbers", *(element("TelephoneNumber", detail) for detail in details))
    shape = behaviour.completed_shape
    wrapped = order.mixed_bit if shape == "mixed" else shape == "wrapped"
    full = (text("FullNumber", e164) for e164 in stage.shown)
    listed = (element("TelephoneNumber", number) for number in full) if wrapped else full
    return element("CompletedNumbers", *listed)


def _summary(order: Order, stage: Stage) -> str:
    facts, got = order.request.selection.quantity, len(stage.shown)
    areas = ", ".join(sorted({n[2:5] for n in stage.shown if n.startswith("+1")}))
    if stage.status == PARTIAL and areas:
        return f"{got} out of {facts} numbers ordered in ({areas})"
    if stage.status == COMPLETE and areas:
        return f"{_counted(got)} ordered in ({areas})"
    return f"{_counted(facts)} requested"


def _counted(numbers: int) -> str:
    return f"{numbers} number" if numbers == 1 else f"{numbers} numbers"


# -- lists ----------------------------------------------------------------------------------------


def order_list(
    orders: Iterable[Order], total: int, links: str, account_id: str, now: datetime, behaviour: Behaviour
) -> bytes:
    """Write the answer to GET /orders."""
    items = (_order_item(order, account_id, now, behaviour) for order in orders)
    listing = element("ListOrderIdUserIdDate", text("TotalCount", total), links, *items)
    return document(element("ResponseSelectWrapper", listing))


def _order_item(order: Order, account_id: str, now: datetime, behaviour: Behaviour) -> str:
    stage = order.stage(now)
    return element(
        "OrderIdUserIdDate",
        text("accountId", account_id),
        text("CountOfTNs", len(stage.shown)),
        label("CustomerOrderId", order.customer_order_id),
        text("userId", "sandbox-user"),
        text("lastModifiedDate", date(stage.at)),
        text("OrderDate", date(order.created_at)),
        text("OrderType", "new_number"),
        text("orderId", order.order_id),
        text("OrderStatus", _status_word(order, stage, behaviour)),
    )


def links(path: str, size: int, extra: str, **pages: str | None) -> str:
    """Write page links as captured: text that looks like a Link header, with a host of no use."""

    def link(rel: str, page: str) -> str:
        return text(rel, f'Link=<{_LINK_BASE}{path}?page={page}&size={size}{extra}>;rel="{rel}";')

    return element("Links", *(link(rel, page) for rel, page in pages.items() if page is not None))


def owned_number(e164: str, order: Order, now: datetime, account_id: str, status: str) -> bytes:
    """Write the answer to GET /tns/{tn}."""
    stage = order.stage(now)
    return document(
        element(
            "TelephoneNumberResponse",
            text("TelephoneNumber", e164),
            text("Status", status),
            text("LastModifiedDate", date(stage.at)),
            text("OrderCreateDate", date(order.created_at)),
            text("OrderId", order.order_id),
            text("OrderType", "NEW_NUMBER_ORDER"),
            text("InServiceDate", date(stage.at)) if status == "Inservice" else "",
            text("SiteId", order.request.site_id),
            text("AccountId", account_id),
        )
    )


def owned_item(e164: str, place: Place, modified: datetime, account_id: str, status: str) -> str:
    """Write one entry of GET /tns."""
    return element(
        "TelephoneNumber",
        label("City", place.city),
        label("Lata", place.lata),
        label("State", place.state),
        text("FullNumber", e164),
        "<Tier>0</Tier>",
        _VENDOR,
        label("RateCenter", place.rate_center),
        text("Status", status),
        text("AccountId", account_id),
        text("LastModified", date(modified)),
    )


def owned_list(items: Iterable[str], total: int, page_links: str) -> bytes:
    """Write the answer to GET /tns."""
    numbers = element("TelephoneNumbers", *items)
    count = text("TelephoneNumberCount", total)
    return document(element("TelephoneNumbersResponse", count, page_links, numbers))


def timed_out(description: str) -> bytes:
    """Write the 400 "timed out", which leaves open whether the request was processed."""
    status = element("ResponseStatus", text("Description", description))
    return document(element("OrderResponse", status))
