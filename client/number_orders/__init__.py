"""What a producer imports to order phone numbers: the contract, and a thin Celery sender."""

from number_orders.contract import (
    Criteria,
    Fault,
    Notify,
    NumberResult,
    OrderDocument,
    OrderRequest,
    Refusal,
    Ticket,
)
from number_orders.sender import Client, NoTicketError

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
