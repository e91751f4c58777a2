"""Opens what a command needs in this process: the ledger for reading, or all services for changes.

The broker may be away: orders go directly to the ledger, and a bell that is not rung delays work by a second.
"""

import getpass
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from config.settings import Settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import clean, masked, scrubbed
from number_orders.ledger.connection import check_reachable
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.errors import LedgerUnavailable, UnknownOrder, WrongSchema
from number_orders.orders.model import OrderId

if TYPE_CHECKING:  # it imports the carriers' HTTP clients, which reading does not need
    from number_orders.fulfilment.runtime import Services

CONNECT_WITHIN_S = 5


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the ledger for reading.

    Raises:
        Stop: It does not answer, or has another schema than this program needs.
    """
    url = await _connected_url(settings)
    with _known_schema():
        guard_lasts, options = timedelta(seconds=settings.guard_s), settings.ledger_options
        async with PostgresLedger.at(
            url, guard_lasts=guard_lasts, connections_max=1, wait_s=CONNECT_WITHIN_S, **options
        ) as ledger:
            yield ledger


@asynccontextmanager
async def open_services(settings: Settings) -> "AsyncIterator[Services]":
    """Open all services.

    Raises:
        Stop: As `open_ledger`.
    """
    from workers import bootstrap, senders, slots, tracing  # noqa: PLC0415  imports Celery and HTTP clients; reading needs neither

    log_only_warnings()
    await _connected_url(settings)
    try:
        open_all = bootstrap.services_factory(
            settings,
            bell=lambda: senders.make_bell(settings),
            notifier=lambda: senders.make_notifier(settings),
            monitor=lambda: senders.order_monitor(settings, senders.node_here("number-orders")),
            slots=slots.NoSlots(),
        )
    except tracing.NotInstalled as missing:
        raise Stop(ExitCode.USAGE, str(missing)) from missing
    with _known_schema():
        async with open_all() as services:
            yield services


async def find_order(ledger: Ledger, name: str) -> OrderId:
    """Return the order with this id, or with this key of its producer.

    Raises:
        UnknownOrder: There is none.
        Stop: Several producers use the key, so an id is needed.
    """
    by_id = _uuid(name)
    if by_id and await ledger.orders.read([by_id]):
        return by_id
    found = await ledger.orders.with_key(name)
    if not found:
        raise UnknownOrder(clean(name))
    if len(found) > 1:
        ids = ", ".join(str(order_id) for order_id in found)
        raise Stop(
            ExitCode.USAGE, f"the key {clean(name)!r} stands for several orders: {ids}", hint="use one of these ids"
        )
    return found[0]


async def find_orders(ledger: Ledger, names: list[str]) -> list[OrderId]:
    """Return the orders with these names, each once, in order."""
    return list(dict.fromkeys([await find_order(ledger, name) for name in names]))


def whoami() -> str:
    """Return `user@host` for the story."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        user = f"user-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def author(given: str | None) -> str:
    """Return the given name, or `user@host`.

    Raises:
        Stop: The name is blank.
    """
    if given is None:
        return whoami()
    if not (cleaned := clean(given)):
        raise Stop(ExitCode.USAGE, "--by is blank: give a name")
    return cleaned


def required_reason(why: str) -> str:
    """Return the reason.

    Raises:
        Stop: It is blank.
    """
    if not (cleaned := clean(why)):
        raise Stop(ExitCode.USAGE, "--why is blank: give a reason")
    return cleaned


async def _connected_url(settings: Settings) -> str:
    """Connect once and return the ledger's URL: a connection pool would report a failure late and without its cause."""
    assert settings.database_url is not None, "commands that need a ledger ask find_settings"
    url = settings.database_url.get_secret_value()
    try:
        await check_reachable(url, within_s=CONNECT_WITHIN_S)
    except LedgerUnavailable as trouble:
        why = scrubbed(str(trouble).split("\n", 1)[0], url)
        message = f"the ledger at {masked(url)} does not answer: {why}"
        raise Stop(ExitCode.OUT_OF_REACH, message, hint="`number-orders doctor` checks everything") from None
    return url


def log_only_warnings() -> None:
    """Write the services' log to standard error, warnings and errors only."""
    import structlog  # noqa: PLC0415  only the services log

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextmanager
def _known_schema() -> Iterator[None]:
    try:
        yield
    except WrongSchema as missing:
        message = "the ledger's schema is not the one that this program needs"
        raise Stop(ExitCode.OUT_OF_REACH, message, hint="run `number-orders migrate`") from missing


def _uuid(name: str) -> OrderId | None:
    try:
        return OrderId(UUID(name))
    except ValueError:
        return None
