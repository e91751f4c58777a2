"""Reads the bodies of requests to /orders and refuses what Bandwidth refuses with 400.

A shortage is no reason to refuse: an order for numbers that are gone is accepted and fails later.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from number_orders.sandbox.bandwidth import vocabulary as terms
from number_orders.sandbox.bandwidth.vocabulary import CarrierError, Kind, error, invalid
from number_orders.sandbox.inventory import Criteria, plausible

_REFERENCE: Final = re.compile(r"[A-Za-z0-9 -]{0,40}")
_BOOLEANS: Final = {"true": True, "false": False}
_REQUIRED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.AREA_CODE: ("AreaCode",),
    Kind.RATE_CENTER: ("RateCenter", "State"),
    Kind.TOLL_FREE_VANITY: ("TollFreeVanity",),
    Kind.TOLL_FREE_WILD_CARD: ("TollFreeWildCardPattern",),
    Kind.STATE: ("State",),
    Kind.CITY: ("City", "State"),
    Kind.ZIP: ("Zip",),
    Kind.LATA: ("Lata",),
}
_COMBINABLE: Final = (
    "AreaCode",
    "NpaNxx",
    "NpaNxxX",
    "RateCenter",
    "City",
    "State",
    "Lata",
    "Zip",
    "LocalVanity",
)
_NO_BACKORDER: Final = {"NpaNxx", "NpaNxxX", "LocalVanity", "TollFreeVanity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an order asks for: `numbers`, or `criteria` and a quantity."""

    kind: Kind
    quantity: int
    numbers: tuple[str, ...] = ()
    criteria: Criteria | None = None
    partial_allowed: bool = True
    backorder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as accepted. `type_xml` is its type element as the client wrote it, to be repeated in answers."""

    selection: Selection
    customer_order_id: str
    name: str
    site_id: str
    peer_id: str
    auto_activate: bool | None
    type_xml: str
    reservation_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What a PUT changes of a backordered order; None leaves a field as it is."""

    close: bool
    name: str | None
    customer_order_id: str | None


class OrderRefused(Exception):
    """Bandwidth answers 400 and makes no order; `echo` is what it repeats of the request."""

    def __init__(self, errors: tuple[CarrierError, ...], echo: Element | None = None) -> None:
        super().__init__(errors)
        self.errors = errors
        self.echo = echo


class ServerError(Exception):
    """Bandwidth answers 500: the observed answer to a number list without its type element."""


def read_order(body: bytes, sites: Mapping[str, str], peers: frozenset[str]) -> OrderRequest:
    """Read the body of POST /orders. `sites` maps every site to its default peer, or to an empty string.

    Raises:
        OrderRefused: with every reason, as Bandwidth's ErrorList has them.
        ServerError: the telephone numbers lack their order type.
    """
    root = _parse(body)
    if root.find("TelephoneNumberList") is not None:
        raise ServerError
    types = [child for child in root if child.tag.endswith("OrderType")]
    kind = next((Kind(child.tag) for child in types if child.tag in set(Kind)), None)
    if kind is None or len(types) > 1:
        raise OrderRefused((error(5087),), root)
    type_element = types[0]
    reasons = (*_label_errors(root, sites, peers), *_selection_errors(kind, type_element, root))
    if reasons:
        raise OrderRefused(reasons, root)
    return _accepted(root, kind, type_element, sites)


def read_amendment(body: bytes) -> Amendment:
    """Read the body of PUT /orders/{id}.

    Raises:
        OrderRefused: not an Order, or a CustomerOrderId that is not allowed.
    """
    root = _parse(body)
    reference = root.findtext("CustomerOrderId")
    if reference is not None and not _REFERENCE.fullmatch(reference.strip()):
        raise OrderRefused((error(5052),), root)
    return Amendment(
        close=_text(root, "CloseOrder").lower() == "true",
        name=root.findtext("Name"),
        customer_order_id=reference.strip() if reference is not None else None,
    )


def e164_of(number: str) -> str:
    """Return a number in E.164; ten digits are North American, as in the live v2."""
    digits = number.strip()
    if re.fullmatch(r"[2-9]\d{9}", digits):
        return f"+1{digits}"
    return f"+{digits}" if re.fullmatch(r"1[2-9]\d{9}", digits) else digits


def _parse(body: bytes) -> Element:
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error_found:
        raise OrderRefused((error(5002),)) from error_found
    if root.tag != "Order":
        raise OrderRefused((error(5002),))
    return root


def _text(root: Element, tag: str) -> str:
    return (root.findtext(tag) or "").strip()


def _texts(root: Element, path: str) -> list[str]:
    return [(found.text or "").strip() for found in root.iterfind(path)]


def _accepted(root: Element, kind: Kind, type_element: Element, sites: Mapping[str, str]) -> OrderRequest:
    site_id = _text(root, "SiteId")
    activate = _text(root, "AutoActivate").lower()
    return OrderRequest(
        selection=_selection(kind, type_element, root),
        customer_order_id=_text(root, "CustomerOrderId"),
        name=_text(root, "Name"),
        site_id=site_id,
        peer_id=_text(root, "PeerId") or sites[site_id],
        auto_activate=_BOOLEANS.get(activate),
        type_xml=tostring(type_element, encoding="unicode").strip(),
        reservation_ids=tuple(
            (one.text or "").strip() for one in type_element.iterfind("ReservationIdList/ReservationId")
        ),
    )


def _selection(kind: Kind, type_element: Element, root: Element) -> Selection:
    partial = _text(root, "PartialAllowed").lower() != "false"
    backorder = _text(root, "BackOrderRequested").lower() == "true"
    if kind is Kind.NAMED:
        numbers = tuple(map(e164_of, _named(type_element)))
        return Selection(
            kind=kind,
            quantity=len(numbers),
            numbers=numbers,
            partial_allowed=partial,
            backorder=backorder,
        )
    criteria = terms.criteria_from(
        _fields(kind, type_element),
        calling_area=_text(type_element, "EnableLCA").lower() != "false",
        ends_in=_text(type_element, "EndsIn").lower() == "true",
    )
    quantity = int(_text(type_element, "Quantity"))
    return Selection(kind=kind, quantity=quantity, criteria=criteria, partial_allowed=partial, backorder=backorder)


# -- reasons to refuse an order -----------------------------------------------------------------------


def _label_errors(root: Element, sites: Mapping[str, str], peers: frozenset[str]) -> Iterator[CarrierError]:
    site_id, peer_id = _text(root, "SiteId"), _text(root, "PeerId")
    if not site_id:
        yield error(5022)
    elif site_id not in sites:
        yield error(5016)
    elif not peer_id and not sites[site_id]:
        yield error(5020)
    if peer_id and peer_id not in peers:
        yield error(5023)
    if not _REFERENCE.fullmatch(_text(root, "CustomerOrderId")):
        yield error(5052)
    if _text(root, "PartialAllowed").lower() not in {"", *_BOOLEANS}:
        yield error(5217)
    if _text(root, "BackOrderRequested").lower() not in {"", *_BOOLEANS}:
        yield error(5002)


def _selection_errors(kind: Kind, type_element: Element, root: Element) -> Iterator[CarrierError]:
    fields = _fields(kind, type_element)
    yield from _number_errors(type_element) if kind is Kind.NAMED else _search_errors(kind, type_element, fields)
    backorder = _text(root, "BackOrderRequested").lower() == "true"
    if backorder and (kind is Kind.NAMED or _NO_BACKORDER & fields.keys()):
        yield error(5522)


def _number_errors(type_element: Element) -> Iterator[CarrierError]:
    numbers = [e164_of(number) for number in _named(type_element)]
    if not numbers:
        yield error(5001)
    if len(numbers) > terms.QUANTITY_MAX:
        yield error(5095, terms.QUANTITY_MAX)
    if len(set(numbers)) < len(numbers):
        yield error(5093)
    yield from (error(5213, e164=number) for number in numbers if not plausible(number))
    if len({number.startswith("+1") for number in numbers}) > 1:
        yield error(5165)


def _search_errors(kind: Kind, type_element: Element, fields: dict[str, str]) -> Iterator[CarrierError]:
    yield from _quantity_errors(kind, type_element)
    yield from _field_errors(kind, type_element, fields)
    for field, value in fields.items():
        error_found = terms.field_error(field, value)
        if error_found is not None:
            yield error_found


def _quantity_errors(kind: Kind, type_element: Element) -> Iterator[CarrierError]:
    given = _text(type_element, "Quantity")
    both_required = {Kind.AREA_CODE: 5198, Kind.TOLL_FREE_VANITY: 5199}.get(kind)
    if not given and both_required is not None:
        yield error(both_required)
    elif not re.fullmatch(r"\d{1,9}", given) or int(given) < 1:
        yield error(5009, given)
    elif int(given) > terms.QUANTITY_MAX:
        yield error(5211)


def _field_errors(kind: Kind, type_element: Element, fields: dict[str, str]) -> Iterator[CarrierError]:
    match kind:
        case Kind.COMBINED:
            yield from _combination_errors(type_element, fields)
        case Kind.NPANXX:
            if not fields:
                yield error(5224, "NpaNxx")
            elif len(fields) > 1:
                yield invalid(terms.UNSUPPORTED)
        case _:
            yield from (error(5224, field) for field in _REQUIRED[kind] if field not in fields)


def _combination_errors(type_element: Element, fields: dict[str, str]) -> Iterator[CarrierError]:
    given = fields.keys()
    if not given:
        yield invalid(terms.NO_CRITERIA)
    if len(given & {"AreaCode", "NpaNxx", "NpaNxxX"}) > 1:
        yield invalid(terms.UNSUPPORTED)
    if given & {"RateCenter", "City"} and "State" not in given:
        yield invalid(terms.ALSO_SPECIFY, "State")
    if "LocalVanity" in given and not {"LocalVanity"} < given <= {"LocalVanity", "AreaCode", "State"}:
        yield invalid(terms.UNSUPPORTED)
    if _text(type_element, "EndsIn").lower() == "true" and "LocalVanity" not in given:
        yield invalid(terms.ENDS_IN_ALONE)
    if _text(type_element, "EnableLCA").lower() == "true" and not terms.has_calling_area(set(given)):
        yield invalid(terms.NO_CALLING_AREA)


def _named(type_element: Element) -> list[str]:
    return _texts(type_element, "TelephoneNumberList/TelephoneNumber")


def _fields(kind: Kind, type_element: Element) -> dict[str, str]:
    """Return the search fields that are filled in. The pages spell the LATA in two ways."""
    if kind is Kind.NPANXX:
        known: tuple[str, ...] = ("NpaNxx", "NpaNxxX")
    else:
        known = _COMBINABLE if kind is Kind.COMBINED else _REQUIRED.get(kind, ())
    given = {field: _text(type_element, field) for field in known}
    if "Lata" in known and not given["Lata"]:
        given["Lata"] = _text(type_element, "LATA")
    return {field: value for field, value in given.items() if value}
