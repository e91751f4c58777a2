"""Orders for Bandwidth, and the answers that it gives."""

from dataclasses import replace
from typing import Any

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import CarrierAnswer
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Criteria,
    Kind,
    NumberResult,
    NumberState,
    Order,
    OrderRequest,
)
from number_orders.orders.numbers import E164
from tests.unit.carriers import order_examples

REFERENCE = order_examples.REFERENCE
THEIRS = CarrierOrderId("4d1f9c57-2c0a-4f0e-9d0e-0d1f5f3f8a01")
OTHER = CarrierOrderId("9b7a6c55-1e2d-4c3b-8a99-7f6e5d4c3b2a")
A, B, C, D = (E164(f"+1919555010{digit}") for digit in range(4))
ORDERS = "/api/v2/accounts/9900000/orders"
HTML = b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>"

BANDWIDTH = Bandwidth("9900000", "743")


def an_order(request: OrderRequest, **more: Any) -> Order:
    return order_examples.an_open_order(request, THEIRS, **more)


def a_request(*numbers: E164, **more: Any) -> OrderRequest:
    made = OrderRequest("k-1", CarrierName("bandwidth"), Kind.NEW_NUMBERS, numbers=numbers)
    return replace(made, **more)


def a_search(quantity: int = 2, *, request: dict[str, Any] | None = None, **criteria: Any) -> OrderRequest:
    return a_request(criteria=Criteria(**criteria), quantity=quantity, **(request or {}))


def named(*numbers: E164, **more: Any) -> Order:
    return an_order(a_request(*numbers), **more)


def searched(quantity: int, **more: Any) -> Order:
    return an_order(a_search(quantity, npa="919"), **more)


def answered(status: int, body: bytes | str = b"", **headers: str) -> CarrierAnswer:
    return CarrierAnswer(status, headers, body.encode() if isinstance(body, str) else body)


def shown(
    status: str | None,
    *,
    completed: str = "",
    failed: str = "",
    errors: str = "",
    quantities: tuple[int | None, int | None] = (None, None),
    order_id: str = "",
    reference: str = REFERENCE,
    summary: str = "",
) -> str:
    """Return the body of GET /orders/{id} with only what is given."""
    done, lost = quantities
    parts = (
        f"<CompletedQuantity>{done}</CompletedQuantity>" if done is not None else "",
        "<CreatedByUser>operations</CreatedByUser>",
        f"<ErrorList>{errors}</ErrorList>" if errors else "",
        f"<FailedNumbers>{failed}</FailedNumbers>" if failed else "",
        "<LastModifiedDate>2024-09-05T23:34:33.306Z</LastModifiedDate>",
        f"<Order><CustomerOrderId>{reference}</CustomerOrderId>{order_id}<SiteId>743</SiteId></Order>",
        f"<OrderStatus>{status}</OrderStatus>" if status is not None else "",
        f"<CompletedNumbers>{completed}</CompletedNumbers>" if completed else "",
        f"<Summary>{summary}</Summary>" if summary else "",
        f"<FailedQuantity>{lost}</FailedQuantity>" if lost is not None else "",
    )
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><OrderResponse>{"".join(parts)}</OrderResponse>'


def wrapped(*numbers: str) -> str:
    return "".join(f"<TelephoneNumber><FullNumber>{n}</FullNumber></TelephoneNumber>" for n in numbers)


def bare(*numbers: str) -> str:
    return "".join(f"<FullNumber>{n}</FullNumber>" for n in numbers)


def error(code: str | None, text: str, number: str | None = None) -> str:
    coded = f"<Code>{code}</Code>" if code else ""
    numbered = f"<TelephoneNumber>{number}</TelephoneNumber>" if number else ""
    return f"<Error>{coded}<Description>{text}</Description>{numbered}</Error>"


def own_list(*numbers: str) -> str:
    listed = "".join(f"<TelephoneNumber>{n}</TelephoneNumber>" for n in numbers)
    return f"<TelephoneNumbers><Count>{len(numbers)}</Count>{listed}</TelephoneNumbers>"


def number_of(order_id: str, account: str = "9900000") -> str:
    return (
        "<TelephoneNumberResponse><TelephoneNumber>+19195550100</TelephoneNumber><Status>Inservice</Status>"
        f"<OrderId>{order_id}</OrderId><OrderType>NEW_NUMBER_ORDER</OrderType><AccountId>{account}</AccountId>"
        "</TelephoneNumberResponse>"
    )


def listed(*items: tuple[str, str, str], total: int | None = None, following: str = "") -> str:
    """Return a page of the list of orders. Items are (order id, reference, date)."""
    inner = "".join(
        f"<OrderIdUserIdDate><CountOfTNs>1</CountOfTNs><CustomerOrderId>{ref}</CustomerOrderId><userId>u</userId>"
        f"<OrderDate>{date}</OrderDate><OrderType>new_number</OrderType><orderId>{order}</orderId>"
        "<OrderStatus>COMPLETE</OrderStatus></OrderIdUserIdDate>"
        for order, ref, date in items
    )
    first = 'Link=&lt;https://internal:443/v1.0/accounts/1/orders?page=1&amp;size=500&gt;;rel="first";'
    count = len(items) if total is None else total
    return (
        f"<ResponseSelectWrapper><ListOrderIdUserIdDate><TotalCount>{count}</TotalCount>"
        f"<Links><first>{first}</first>{following}</Links>{inner}</ListOrderIdUserIdDate></ResponseSelectWrapper>"
    )


def next_link(page: str) -> str:
    return f'<next>Link=&lt;https://internal:443/v1.0/accounts/1/orders?page={page}&amp;size=500&gt;;rel="next";</next>'


def acquired(*numbers: E164) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(number, NumberState.ACQUIRED) for number in numbers)


def lost(number: E164, code: str | None = None, text: str | None = None) -> NumberResult:
    return NumberResult(number, NumberState.FAILED, code, text)
