"""For producers: the contract of number-orders, and a client that sends orders through Celery."""

from number_orders_client.contract import (
    Criteria,
    Fault,
    Notify,
    NumberResult,
    OrderDocument,
    OrderRequest,
    Refusal,
    Ticket,
)
from number_orders_client.sender import Client, NoTicketError

__all__ = [
    "Client",
    "Criteria",
    "Fault",
    "NoTicketError",
    "Notify",
    "NumberResult",
    "OrderDocument",
    "OrderRequest",
    "Refusal",
    "Ticket",
]
