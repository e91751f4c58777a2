"""The receiver's process: settings become connections, and uvicorn serves the application."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from fastapi import APIRouter, FastAPI

from config.settings import ReceiverSettings, Settings
from number_orders.fulfilment.authority import Authority
from number_orders.fulfilment.inquiries import Seller
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.migrate import schema_fault
from number_orders.receiver.app import OpenConnections, create_app
from number_orders.receiver.bell import BackgroundBell
from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.board.routes import board_router
from number_orders.receiver.metrics import metrics_router
from number_orders.receiver.parts import Connections, Limits, Receiver
from number_orders.receiver.rate import RequestRate
from number_orders.receiver.server import Address, make_server
from workers import logs
from workers.bootstrap import services_factory
from workers.brokers import broker_fault
from workers.carriers import configured_carriers
from workers.listening import listen
from workers.notices import notice_routes
from workers.senders import make_bell, make_notifier, node_here, order_monitor
from workers.slots import NoSlots

log = structlog.get_logger(__name__)

OpenAuthority = Callable[[Services], Authority]

_BROKER_S: Final = 2
_BROKER_EVERY_S: Final = 5.0
"""How often the broker is looked at, however often somebody asks."""


def serve(
    settings: Settings | None = None,
    *,
    open_authority: OpenAuthority | None = None,
    routers: Sequence[APIRouter] = (),
) -> None:
    """Serve until SIGTERM or Ctrl-C. Without settings, those of the environment count; the ledger knows the tokens.

    Raises:
        SystemExit: The ledger cannot be reached, or the port is taken; the log has the reason.
    """
    settings = settings or Settings()
    logs.set_up(settings.log_level, as_json=settings.log_json)
    own = settings.receiver
    notices = notice_routes(settings, _ledger_of)
    metrics = metrics_router(
        lambda request: _ledger_of(request.app).metrics,
        token=settings.metrics_token.get_secret_value() if settings.metrics_token else None,
        is_open=settings.metrics_open,
        every_s=settings.metrics_every_s,
    )
    app = create_app(
        connections(settings, open_authority or _ledger_authority),
        limits=limits(own),
        routers=(notices, metrics, *board_routes(own), *routers),
    )
    server = make_server(app, Address(own.host, own.port, own.trusted_proxies))
    try:
        listening = listen(own.host, own.port, address_file=own.address_file)
    except OSError as fault:
        log.error("cannot_listen", host=own.host, port=own.port, trouble=fault.strerror)  # noqa: TRY400  no bug of ours
        raise SystemExit(1) from None
    # Uvicorn stops at the first signal, restores these handlers and raises the signal again: to no effect.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    server.run(sockets=[listening])
    if not server.started:
        raise SystemExit(1)


def _ledger_authority(services: Services) -> Authority:
    assert services.authority is not None, "services_factory makes one"
    return services.authority


def _ledger_of(app: FastAPI) -> Ledger:
    receiver: Receiver = app.state.receiver
    return receiver.services.ledger


def limits(settings: ReceiverSettings) -> Limits:
    """Return what one process does at most."""
    rate = RequestRate(settings.rate_per_s, max(settings.rate_burst, settings.rate_per_s))
    return Limits(
        rate=rate,
        attempts=RequestRate(settings.attempts_per_s, max(settings.attempts_burst, settings.attempts_per_s)),
        streams_max=settings.streams_max,
        streams_per_caller=settings.streams_per_caller,
        questions_max=settings.questions_max,
    )


def board_routes(settings: ReceiverSettings) -> Sequence[APIRouter]:
    """Return the routes of the board, if it is served."""
    policy = BoardPolicy(
        idle=timedelta(seconds=settings.board_idle_s),
        lasts=timedelta(seconds=settings.board_session_s),
        user_header=settings.board_user_header,
        proxies=settings.trusted_proxies,
    )
    return [board_router(policy)] if settings.board else []


def connections(settings: Settings, open_authority: OpenAuthority) -> OpenConnections:
    """Return a function that opens what the receiver is connected to. Nothing is connected before."""
    assert settings.database_url is not None, "the caller has checked that the settings name a database"
    url = settings.database_url.get_secret_value()
    of_process = settings.model_copy(update={"database_connections": settings.receiver.database_connections})

    @asynccontextmanager
    async def open_connections() -> AsyncIterator[Connections]:
        async with AsyncExitStack() as stack:
            bell = BackgroundBell(make_bell(settings))
            stack.callback(bell.close)
            open_services = services_factory(
                of_process,
                bell=lambda: bell,
                notifier=lambda: make_notifier(settings),
                monitor=lambda: order_monitor(settings, node_here("receiver")),
                slots=NoSlots(),
            )
            services = await stack.enter_async_context(open_services())
            sellers = {}
            for name, carrier in configured_carriers(settings).items():
                courier = carrier.courier()
                stack.push_async_callback(courier.aclose)
                sellers[name] = Seller(carrier.adapter, carrier.market, courier)
            yield Connections(
                services=services,
                authority=open_authority(services),
                sellers=sellers,
                schema_fault=_SchemaCheck(url),
                broker_fault=_BrokerCheck(settings),
            )

    return open_connections


class _SchemaCheck:
    """Compares the ledger's schema with the one that this code needs, until it is right once: it never goes back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_right = False

    async def __call__(self) -> str | None:
        fault = None if self._is_right else await asyncio.to_thread(schema_fault, self._url)
        self._is_right = fault is None
        return fault


class _BrokerCheck:
    """Connects to the broker, and remembers for some seconds how that went."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looked_at = -_BROKER_EVERY_S
        self._fault: str | None = None

    async def __call__(self) -> str | None:
        if time.monotonic() - self._looked_at >= _BROKER_EVERY_S:
            self._looked_at = time.monotonic()
            self._fault = await asyncio.to_thread(self._look)
        return self._fault

    def _look(self) -> str | None:
        trouble = broker_fault(self._settings, within_s=_BROKER_S)
        return None if trouble is None else repr(trouble)


def _ignore(*_: Any) -> None:
    """Do nothing: the server has stopped already."""
