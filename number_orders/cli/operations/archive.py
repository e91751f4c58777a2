"""The command `archive`: what the archive holds, move orders there now, bring them back, purge their stories."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from config.settings import Settings
from number_orders.carriers.http.courier import boot_clock
from number_orders.cli.exits import ExitCode, Stop, print_error
from number_orders.cli.output import pairs, screen
from number_orders.cli.services import find_orders, open_ledger
from number_orders.fulfilment.archiving import ArchiveRun, Archiving
from number_orders.ledger.archive import Archived
from number_orders.ledger.ledger import Ledger
from number_orders.orders.model import OrderId

PURGES: Final = (
    "Story, documents and free text of archived orders that ended more than {days} days ago will be deleted for good."
)
_RUNS_FOR_S: Final = 3600.0
_PAGE: Final = 500
_LEAST: Final = timedelta(days=1)
"""Of `--older-than`: what has just ended may still be asked about, and is not meant."""


async def read_archive(settings: Settings) -> Archived:
    """Return what the archive holds."""
    async with open_ledger(settings) as ledger:
        return await ledger.archive.summary()


async def run_archive(settings: Settings, older_than: timedelta | None) -> ArchiveRun:
    """Move orders now, as beat has it done.

    Raises:
        Stop: Neither the command nor the settings say how old they must be, or it is less than a day.
    """
    _check_age(older_than)
    after = older_than or settings.archive_after
    if after is None:
        raise Stop(ExitCode.USAGE, "nothing is archived by itself here: say with --older-than what is to be archived")
    async with open_ledger(settings) as ledger:
        return await Archiving(ledger, boot_clock).run(after, runs_for_s=_RUNS_FOR_S)


async def undo_archive(settings: Settings, names: Sequence[str], since: timedelta | None) -> list[OrderId]:
    """Bring orders back: the named ones, or all that were archived within `since`. Print which cannot be.

    Raises:
        UnknownOrder: One of the names is no order's.
        Stop: Neither is given.
    """
    if not names and since is None:
        raise Stop(ExitCode.USAGE, "name the orders to bring back, or say --since")
    async with open_ledger(settings) as ledger:
        if since is None:
            return await _restore(ledger, await find_orders(ledger, list(names)))
        back: list[OrderId] = []
        left: list[OrderId] = []
        moment = await ledger.now() - since
        while page := await ledger.archive.since(moment, but=left, limit=_PAGE):
            restored = await _restore(ledger, page)
            back += restored
            left += set(page).difference(restored)
        return back


async def _restore(ledger: Ledger, order_ids: Sequence[OrderId]) -> list[OrderId]:
    """Bring orders back; print which stay, and why."""
    back = await ledger.archive.restore(order_ids)
    left = [order_id for order_id in order_ids if order_id not in set(back)]
    blocked = await ledger.archive.blocked(left)
    for order_id, other in blocked.items():
        print_error(f"order {order_id} stays in the archive: order {other} has its key or its order at the carrier")
    for order_id in await ledger.archive.among([one for one in left if one not in blocked]):
        print_error(f"order {order_id} stays in the archive: it was purged")
    return back


def check_purge(older_than: timedelta | None) -> timedelta:
    """Return how long ago an order must have ended that is purged.

    Raises:
        Stop: The command does not say, or it is less than a day.
    """
    if older_than is None:
        raise Stop(ExitCode.USAGE, "say with --older-than which stories to delete; that cannot be undone")
    _check_age(older_than)
    return older_than


def _check_age(older_than: timedelta | None) -> None:
    if older_than is not None and older_than < _LEAST:
        raise Stop(ExitCode.USAGE, "--older-than: must be at least 1d, such as 400d")


async def purge_archive(settings: Settings, older_than: timedelta) -> int:
    """Delete the stories of archived orders that ended longer ago; return of how many."""
    purged = 0
    async with open_ledger(settings) as ledger:
        while moved := await ledger.archive.purge(older_than, at_once=_PAGE):
            purged += moved
    return purged


def show_archive(found: Archived) -> None:
    """Print what the archive holds."""
    between = f"{found.oldest:%Y-%m-%d} to {found.newest:%Y-%m-%d}" if found.oldest and found.newest else ""
    waiting = f"{found.copied}, removed from the orders within the hour" if found.copied else ""
    rows = [
        ("archived", str(found.removed)),
        ("copied", waiting),
        ("of them purged", str(found.purged)),
        ("ended", between),
        ("size", f"{found.bytes / 1e6:.1f} MB"),
    ]
    screen().print(pairs(rows))


def archive_to_json(found: Archived) -> dict[str, Any]:
    """Return the same as JSON."""
    return {name: getattr(found, name) for name in Archived.__slots__}
