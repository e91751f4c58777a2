"""Flower as this service runs it: with a password for every page, read-only, and with the columns that show orders.

Flower's own command asks for no password unless told to, leaves `/metrics` open, and lets whoever reaches it shut
workers down. Only `/healthcheck`, which says `OK`, and the files of its pages are open here.
"""

import atexit
import signal
from typing import Any, Final

import structlog
from celery.events.state import Task
from celery.states import PENDING
from flower import urls
from flower.app import Flower, rewrite_handler
from flower.command import apply_env_options, extract_settings, setup_logging
from flower.events import EventsState
from flower.options import options
from flower.views.monitor import Metrics
from tornado import web
from tornado.httpserver import HTTPServer

from config.settings import FLOWER_USER, PREFIX, Settings
from workers import logs
from workers.apps import make_app
from workers.listening import listen

log = structlog.get_logger(__name__)

_COLUMNS: Final = "name,state,uuid,result,kwargs,received,runtime"
_GONE_AFTER_S: Final = 600
"""After so long without a word a process is left out of the page of workers: commands end within a second."""


class OrderRow(Task):
    """One order's row. News that comes late changes nothing in it.

    Processes gather their events side by side: an order that is held back at once may be seen waiting before it is seen
    accepted. Celery puts a row that waits to whatever comes next.
    """

    def event(self, type_: str | None, timestamp: float | None = None, *others: Any, **more: Any) -> str | None:
        """Take one event in. Each has the whole row, so nothing is lost with an older one."""
        is_first = self.state == PENDING
        is_late = type_ == "received" or (timestamp or 0.0) < (self.timestamp or 0.0)
        return super().event(type_, timestamp, *others, **more) if is_first or not is_late else None


class ProtectedMetrics(Metrics):  # type: ignore[misc]  # Flower has no types
    """Flower's metrics for those who know the password."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with the metrics."""
        await super().get()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        SystemExit: There is no password, or the port is taken.
    """
    logs.set_up(settings.log_level, as_json=settings.log_json)
    flower = make_flower(settings)
    try:
        listening = listen(settings.flower_host, settings.flower_port, address_file=settings.flower_address_file)
    except OSError as fault:
        raise SystemExit(f"number-orders: {settings.flower_host}:{settings.flower_port}: {fault.strerror}") from None
    server = HTTPServer(flower, xheaders=options.xheaders)
    server.add_socket(listening)
    atexit.register(flower.stop)
    signal.signal(signal.SIGTERM, _stop)
    host, port = listening.getsockname()[:2]
    log.info("flower_serves", host=host, port=port, user=FLOWER_USER)
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        log.info("flower_stops")


def make_flower(settings: Settings) -> Any:
    """Return Flower's application. Variables named `FLOWER_…` set its other options, such as `FLOWER_URL_PREFIX`.

    Raises:
        SystemExit: There is no password.
    """
    if settings.flower_password is None:
        raise SystemExit(f"number-orders: set {PREFIX}FLOWER_PASSWORD; Flower is not served without a password")
    apply_env_options()
    options.basic_auth = [f"{FLOWER_USER}:{settings.flower_password.get_secret_value()}"]
    options.auth = ""
    options.read_only = True
    options.unix_socket = ""
    options.tasks_columns = _COLUMNS
    options.purge_offline_workers = options.purge_offline_workers or _GONE_AFTER_S
    extract_settings()
    setup_logging()
    EventsState.Task = OrderRow
    flower = Flower(capp=make_app(settings), options=options, **urls.settings)
    metrics = (r"/metrics", ProtectedMetrics)
    flower.add_handlers(r".*", [rewrite_handler(metrics, options.url_prefix) if options.url_prefix else metrics])
    return flower


def _stop(*_: Any) -> None:
    raise SystemExit(0)
