"""How a bell is answered: what it asks for is done, and an absent ledger costs a line in the log and nothing else."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from number_orders.fulfilment.runtime import runtime
from number_orders.fulfilment.service import OrderService
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)


def answer(bell: Callable[[OrderService], Coroutine[Any, Any, object]]) -> None:
    """Do what a bell asks for. Without a ledger nothing can be done: the sweep rings again."""
    try:
        here = runtime()
        here.run(bell(here.services.orders))
    except LedgerUnavailable as away:
        log.warning("ledger_away", trouble=str(away))
