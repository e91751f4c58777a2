"""Clears alarms and dead letters that a person has dealt with."""

from collections.abc import Sequence
from typing import Any

from config.settings import Settings
from number_orders.cli.exits import ExitCode, Stop, print_error
from number_orders.cli.orders.tables import Row
from number_orders.cli.services import open_ledger


def check_arguments(ids: Sequence[int], *, clear: bool, every: bool = False) -> None:
    """Check that the ids fit the options.

    Raises:
        Stop: They do not.
    """
    if every and (clear or ids):
        raise Stop(ExitCode.USAGE, "--clear-all clears every alarm: give neither ids nor --clear with it")
    if ids and not clear:
        raise Stop(ExitCode.USAGE, "ids need --clear: --clear ID…")
    if clear and not ids:
        raise Stop(ExitCode.USAGE, "--clear needs the ids to clear: --clear ID…")


async def clear_alarms(settings: Settings, ids: Sequence[int], *, by: str) -> list[Row]:
    """Clear these alarms until they are raised again, without ids all; return those that were there."""
    async with open_ledger(settings) as ledger:
        return await ledger.alarms.clear(ids or None, by=by)


async def delete_dead_letters(settings: Settings, ids: Sequence[int]) -> list[Row]:
    """Delete these dead letters; return those that were there."""
    async with open_ledger(settings) as ledger:
        return await ledger.dead_letters.delete(ids)


def exit_code(asked: Sequence[int], found: Sequence[Row], *, name: str) -> ExitCode:
    """Print an error for the ids that were not there, and return the exit code; `name` is the column of the ids."""
    known: set[Any] = {row[name] for row in found}
    unknown = [str(each) for each in dict.fromkeys(asked) if each not in known]
    if unknown:
        print_error(f"not there: {name.removesuffix('_id')} {', '.join(unknown)}")
    return ExitCode.NO if unknown else ExitCode.DONE
