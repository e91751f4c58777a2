"""Puts alarms and dead letters away, once a person has dealt with them."""

from collections.abc import Sequence
from typing import Any

from config.settings import Settings
from number_orders.cli.exits import Code, Stop, complain
from number_orders.cli.orders.tables import Row
from number_orders.cli.services import open_ledger


def check_asked(ids: Sequence[int], *, clear: bool, every: bool = False) -> None:
    """See that what is to be put away was named, and that whoever named something said what to do with it.

    Raises:
        Stop: It was not.
    """
    if every and (clear or ids):
        raise Stop(Code.USAGE, "--clear-all takes them all: give no ids and no --clear beside it")
    if ids and not clear:
        raise Stop(Code.USAGE, "ids are for --clear ID…")
    if clear and not ids:
        raise Stop(Code.USAGE, "--clear needs the ids of what to put away")


async def clear_alarms(settings: Settings, ids: Sequence[int]) -> list[Row]:
    """Put these alarms away until they happen again, all that stand without ids; return those that stood."""
    async with open_ledger(settings) as ledger:
        return await ledger.alarms.clear(ids or None)


async def delete_dead_letters(settings: Settings, ids: Sequence[int]) -> list[Row]:
    """Delete these dead letters; return those that were there."""
    async with open_ledger(settings) as ledger:
        return await ledger.dead_letters.delete(ids)


def code_of(asked: Sequence[int], found: Sequence[Row], *, name: str) -> Code:
    """Complain of every id that was not there, and return the exit code; `name` is the column of the ids."""
    known: set[Any] = {row[name] for row in found}
    unknown = [str(each) for each in dict.fromkeys(asked) if each not in known]
    if unknown:
        complain(f"not there: {name.removesuffix('_id')} {', '.join(unknown)}")
    return Code.NO if unknown else Code.DONE
