"""`/metrics` for Prometheus: figures of the ledger, read at most every few seconds however often they are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple, Protocol

import structlog
from fastapi import APIRouter, Header, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from number_orders.ledger.metrics import Figure
from number_orders.orders.errors import LedgerUnavailable
from number_orders.receiver.bearer import is_token
from number_orders.receiver.problems import Problem
from number_orders.receiver.recent import Recent

log = structlog.get_logger(__name__)

PREFIX: Final = "number_orders_"


class Shown(NamedTuple):
    """How a figure is shown."""

    labels: tuple[str, ...]
    help: str


FIGURES: Final[Mapping[str, Shown]] = MappingProxyType(
    {
        "orders": Shown(("carrier", "state"), "Orders under way. Ended orders are counted by the workers."),
        "oldest_order_seconds": Shown(("carrier", "state"), "Age of the oldest order under way, since its acceptance."),
        "lane_work_items": Shown(("carrier", "lane"), "Work items of a lane, due or not."),
        "lane_due": Shown(("carrier", "lane"), "Work items that are due."),
        "lane_late_seconds": Shown(("carrier", "lane"), "How long the first due work item has been due."),
        "lane_waits_for_worker_seconds": Shown(
            ("carrier", "lane"), "The same, of work that nothing but the lack of a free worker holds back."
        ),
        "lane_paused": Shown(("carrier", "lane"), "1: a person has paused the lane."),
        "breaker_open": Shown(("carrier",), "1: the circuit breaker is open, so the carrier is left alone."),
        "limit_paused": Shown(("carrier", "limit_group"), "1: the carrier wants no requests of this group now (429)."),
        "alarms": Shown(("what",), "Active alarms."),
        "documents_waiting": Shown((), "Orders of which documents are still to be sent to their producers."),
        "webhooks_waiting": Shown((), "Orders of which documents are still to be sent to a URL."),
        "dead_letters": Shown((), "Messages that nobody can read."),
        "guard_active": Shown((), "1: the ledger fell back in time, and orders are looked for before they are sent."),
        "budget_numbers_taken": Shown(("producer", "span"), "Numbers ordered in the present hour or day."),
        "budget_numbers_max": Shown(("producer", "span"), "The limit of that."),
    }
)
"""What `ledger/sql/metrics.sql` returns."""

LEDGER_UP: Final = "ledger_up"


class FigureReader(Protocol):
    """Reads all figures."""

    async def read(self) -> Sequence[Figure]: ...


async def _read(reader: FigureReader) -> Sequence[Figure] | None:
    """Return the figures; None if the ledger is away, which counts as read: it is not asked with every request."""
    try:
        return await reader.read()
    except LedgerUnavailable as away:
        log.warning("metrics_not_read", trouble=str(away))
        return None


def exposition(figures: Sequence[Figure] | None) -> bytes:
    """Return the figures in Prometheus' text format; `ledger_up` is 0 if there are none."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(figures))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, figures: Sequence[Figure] | None) -> None:
        self._figures = figures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        is_up = GaugeMetricFamily(f"{PREFIX}{LEDGER_UP}", "1: the ledger answers.")
        is_up.add_metric((), float(self._figures is not None))
        yield is_up
        yield from _families(self._figures or ())


def _families(figures: Iterable[Figure]) -> Iterable[GaugeMetricFamily]:
    families = {
        name: GaugeMetricFamily(f"{PREFIX}{name}", shown.help, labels=shown.labels) for name, shown in FIGURES.items()
    }
    for figure in figures:
        families[figure.name].add_metric(figure.labels, figure.value)
    return families.values()


def metrics_router(
    open_reader: Callable[[Request], FigureReader], *, token: str | None, is_open: bool, every_s: float
) -> APIRouter:
    """Return the route.

    Args:
        open_reader: Returns the reader of the application that serves this request.
        token: What the header `Authorization: Bearer …` must have.
        is_open: Whether nothing is asked for. With neither, there are no metrics.
        every_s: How old figures may be.
    """
    router = APIRouter(tags=["health"])
    recent: Recent[Sequence[Figure] | None] = Recent(every_s, every_s)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}})
    async def metrics(request: Request, authorization: Annotated[str, Header()] = "") -> Response:
        """Return figures for Prometheus. Needs the token of the setting `metrics_token`."""
        if not is_open and not is_token(authorization, token):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise Problem("unauthorized", "send Authorization: Bearer and the token for metrics", headers=challenge)
        figures = await recent.get(lambda: _read(open_reader(request)))
        return Response(exposition(figures), media_type=CONTENT_TYPE_LATEST)

    return router
