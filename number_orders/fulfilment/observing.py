"""Observers of orders (metrics, traces, Flower) see what happens, and may stop nothing by an error of theirs."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)


@contextmanager
def observing(observer: object) -> Iterator[None]:
    """Tell an observer something; log an error of its, and go on."""
    try:
        yield
    except Exception:
        log.exception("observer_broke", observer=type(observer).__name__)
