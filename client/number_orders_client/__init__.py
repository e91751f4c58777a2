"""For producers: the contract of number-orders, and clients that send orders over the queue or over HTTP."""

from number_orders_client.client import AsyncClient, Client
from number_orders_client.contract import (
    Criteria,
    Fault,
    Notify,
    NumberResult,
    OrderDocument,
    OrderRequest,
    Problem,
    Refusal,
    Ticket,
)
from number_orders_client.errors import (
    KeyConflict,
    NotAllowed,
    NotCancellable,
    NotEnded,
    NoTicket,
    NumberOrdersError,
    OrderRefused,
    ServiceFailed,
    TooManyRequests,
    UnknownOrder,
    UntrustedNotice,
)
from number_orders_client.reference import derive_order_id
from number_orders_client.shapes import Submitted
from number_orders_client.webhooks import on_change

NoTicketError = NoTicket
"""The name in release 0.1.0; it goes with 0.3.0."""

__all__ = [
    "AsyncClient",
    "Client",
    "Criteria",
    "Fault",
    "KeyConflict",
    "NoTicket",
    "NoTicketError",
    "NotAllowed",
    "NotCancellable",
    "NotEnded",
    "Notify",
    "NumberOrdersError",
    "NumberResult",
    "OrderDocument",
    "OrderRefused",
    "OrderRequest",
    "Problem",
    "Refusal",
    "ServiceFailed",
    "Submitted",
    "Ticket",
    "TooManyRequests",
    "UnknownOrder",
    "UntrustedNotice",
    "derive_order_id",
    "on_change",
]
