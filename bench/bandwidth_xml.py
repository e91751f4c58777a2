"""The part of Bandwidth's XML that the workload needs, for the fake carrier and the contenders without an adapter.

number-orders itself uses its own adapter, which shares nothing with this.
"""

import re
from typing import Final
from xml.etree.ElementTree import fromstring

ACCOUNT: Final = "bench"
SITE: Final = "743"
ORDERS: Final = f"/api/v2/accounts/{ACCOUNT}/orders"
XML: Final = "application/xml"
COMPLETE: Final = "COMPLETE"
RECEIVED: Final = "RECEIVED"

_REFERENCE: Final = re.compile(rb"<CustomerOrderId>([^<]+)</CustomerOrderId>")
_NUMBER: Final = re.compile(rb"<TelephoneNumber>([^<]+)</TelephoneNumber>")

_ORDER: Final = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    "<Order><CustomerOrderId>{reference}</CustomerOrderId><SiteId>{site}</SiteId>"
    "<PartialAllowed>true</PartialAllowed><BackOrderRequested>false</BackOrderRequested>"
    "<ExistingTelephoneNumberOrderType><TelephoneNumberList><TelephoneNumber>{number}</TelephoneNumber>"
    "</TelephoneNumberList></ExistingTelephoneNumberOrderType></Order>"
)
_RESPONSE: Final = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><OrderResponse>'
    "<CompletedQuantity>{completed}</CompletedQuantity>"
    "<CreatedByUser>bench</CreatedByUser><ErrorList/><FailedNumbers/>"
    "<LastModifiedDate>2026-01-01T12:00:00.000Z</LastModifiedDate>"
    "<OrderCompleteDate>2026-01-01T12:00:00.000Z</OrderCompleteDate>"
    "<Order><OrderCreateDate>2026-01-01T12:00:00.000Z</OrderCreateDate><PeerId>500709</PeerId>"
    "<BackOrderRequested>false</BackOrderRequested><CustomerOrderId>{reference}</CustomerOrderId><id>{carrier_order_id}</id>"
    "<ExistingTelephoneNumberOrderType><TelephoneNumberList><TelephoneNumber>{number}</TelephoneNumber>"
    "</TelephoneNumberList></ExistingTelephoneNumberOrderType><PartialAllowed>true</PartialAllowed>"
    "<SiteId>{site}</SiteId></Order><OrderStatus>{status}</OrderStatus>{numbers}"
    "<Summary>1 number ordered</Summary><FailedQuantity>0</FailedQuantity></OrderResponse>"
)
_BOUGHT: Final = (
    "<CompletedNumbers><TelephoneNumber><FullNumber>{number}</FullNumber></TelephoneNumber></CompletedNumbers>"
)


def write_order(number: str, reference: str) -> bytes:
    """Return the body of a request for one number."""
    return _ORDER.format(reference=reference, site=SITE, number=number).encode()


def read_order(body: bytes) -> tuple[str, str]:
    """Return reference and number of an order. A regular expression is enough for our own XML."""
    reference, number = _REFERENCE.search(body), _NUMBER.search(body)
    if reference is None or number is None:
        raise ValueError("not an order of the workload")
    return reference[1].decode(), number[1].decode()


def write_response(*, carrier_order_id: str, reference: str, number: str, done: bool) -> bytes:
    """Return an order as the carrier reports it."""
    return _RESPONSE.format(
        completed=int(done),
        reference=reference,
        carrier_order_id=carrier_order_id,
        number=number,
        site=SITE,
        status=COMPLETE if done else RECEIVED,
        numbers=_BOUGHT.format(number=number) if done else "<CompletedNumbers/>",
    ).encode()


def read_response(body: bytes) -> tuple[str, str]:
    """Return the carrier's id of an order, and its status."""
    root = fromstring(body)  # noqa: S314  written by our own fake carrier
    carrier_order_id, status = root.findtext("Order/id"), root.findtext("OrderStatus")
    if carrier_order_id is None or status is None:
        raise ValueError("an order without id or status")
    return carrier_order_id, status
