"""Opens what a command needs, in this process: the ledger to read, or the whole room to submit and call back.

The broker may be away: submission goes straight to the ledger, and a bell that stays silent costs a second.
"""

import getpass
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from config.settings import Settings
from number_orders.cli.exits import Code, Stop
from number_orders.cli.output import clean, masked, scrubbed
from number_orders.ledger.connection import check_reachable
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.errors import LedgerUnavailable, UnknownOrder, WrongSchema
from number_orders.orders.model import CarrierName, Lane, OrderId

if TYPE_CHECKING:  # it brings the carriers' HTTP clients along, which reading has no use for
    from number_orders.fulfilment.runtime import Services

CONNECT_WITHIN_S = 5


class NoSlots:
    """A command works no lane off: there is no place to take."""

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        """Enter with False."""
        yield False

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Say nothing: there is no place of its own to say it of."""

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Call nobody."""


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the ledger, for reading.

    Raises:
        Stop: It cannot be had, or has another schema than this program.
    """
    url = await _reached(settings)
    with _schema_expected():
        async with PostgresLedger.at(url, connections_max=1, wait_s=CONNECT_WITHIN_S) as ledger:
            yield ledger


@asynccontextmanager
async def open_services(settings: Settings) -> "AsyncIterator[Services]":
    """Open everything that the use cases need.

    Raises:
        Stop: as `open_ledger`.
    """
    from workers import apps, bootstrap  # noqa: PLC0415  Celery and the carriers' clients; reading needs neither

    _only_warnings()
    await _reached(settings)
    open_all = bootstrap.services_factory(
        settings,
        bell=lambda: apps.make_bell(settings),
        notifier=lambda: apps.make_notifier(settings),
        slots=NoSlots(),
    )
    with _schema_expected():
        async with open_all() as services:
            yield services


async def find_order(ledger: Ledger, name: str) -> OrderId:
    """Return the order that is called `name`: its id, or its producer's key.

    Raises:
        UnknownOrder: There is none.
        Stop: The key is several producers', so an id is needed.
    """
    by_id = _uuid(name)
    if by_id and await ledger.orders.read([by_id]):
        return by_id
    found = await ledger.orders.with_key(name)
    if not found:
        raise UnknownOrder(clean(name))
    if len(found) > 1:
        ids = ", ".join(str(order_id) for order_id in found)
        raise Stop(Code.USAGE, f"the key {clean(name)!r} stands for several orders: {ids}", mend="name one by its id")
    return found[0]


async def find_orders(ledger: Ledger, names: list[str]) -> list[OrderId]:
    """Return the orders that are called so, each once, in order."""
    return list(dict.fromkeys([await find_order(ledger, name) for name in names]))


def whoami() -> str:
    """Return who types, as the story tells it: the user and the machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        user = f"user-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def by_whom(given: str | None) -> str:
    """Return who does something: whoever was named, or whoever types.

    Raises:
        Stop: A blank name was given.
    """
    if given is None:
        return whoami()
    if not (said := clean(given)):
        raise Stop(Code.USAGE, "--by is blank")
    return said


def because(why: str) -> str:
    """Return why something is done.

    Raises:
        Stop: It is blank.
    """
    if not (said := clean(why)):
        raise Stop(Code.USAGE, "--why is blank")
    return said


async def _reached(settings: Settings) -> str:
    """Return the ledger's address once it has answered: a pool would only say, later, that it has nothing."""
    assert settings.database_url is not None, "commands that need a ledger ask find_settings"
    url = settings.database_url.get_secret_value()
    try:
        await check_reachable(url, within_s=CONNECT_WITHIN_S)
    except LedgerUnavailable as trouble:
        why = scrubbed(str(trouble).split("\n", 1)[0], url)
        message = f"the ledger at {masked(url)} does not answer: {why}"
        raise Stop(Code.OUT_OF_REACH, message, mend="`number-orders doctor` looks at everything") from None
    return url


def _only_warnings() -> None:
    """Keep the log out of the answer: what the use cases log goes to standard error, and only if it matters."""
    import structlog  # noqa: PLC0415  only whoever works logs

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextmanager
def _schema_expected() -> Iterator[None]:
    try:
        yield
    except WrongSchema as missing:
        message = "the ledger's schema is not the one that this program was written for"
        raise Stop(Code.OUT_OF_REACH, message, mend="run `number-orders migrate`") from missing


def _uuid(name: str) -> OrderId | None:
    try:
        return OrderId(UUID(name))
    except ValueError:
        return None
