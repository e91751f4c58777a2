"""How tasks that carry no data run: a missing ledger costs one log line, because the next sweep rings again."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from number_orders.fulfilment.runtime import runtime
from number_orders.fulfilment.service import OrderService
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)


def run(operation: Callable[[OrderService], Coroutine[Any, Any, object]]) -> None:
    """Run one operation of the order service; log it if the ledger is unavailable."""
    try:
        current = runtime()
        current.run(operation(current.services.orders))
    except LedgerUnavailable as away:
        log.warning("ledger_away", trouble=str(away))
