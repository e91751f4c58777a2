"""The command `coverage --history`: how the carriers' stock has changed, from the snapshots of the ledger."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from config.settings import Settings
from number_orders.cli import output
from number_orders.cli.output import clean, screen, write_json
from number_orders.cli.services import open_ledger
from number_orders.ledger.coverage import CoverageSnapshot

_WEEK: Final = timedelta(days=7)
_ALL: Final = "all together"
_COLUMNS: Final = ("CARRIER", "GROUP", "NOW", "A WEEK AGO", "AT FIRST", "LEAST", "SNAPSHOTS")


async def read_history(settings: Settings, *, carrier: str | None, within: timedelta) -> list[CoverageSnapshot]:
    """Return the snapshots of this time, the newest first."""
    async with open_ledger(settings) as ledger:
        return await ledger.coverage.history(within, carrier=carrier)


def show_history(snapshots: Sequence[CoverageSnapshot]) -> None:
    """Print one line for each group: its quantity now and before. The scarcest groups come first."""
    if not snapshots:
        screen().print("no snapshots yet: beat takes one a day (NUMBER_ORDERS_COVERAGE_AT)")
        return
    series: defaultdict[tuple[str, str, str], list[CoverageSnapshot]] = defaultdict(list)
    for one in snapshots:
        series[one.carrier, one.query, one.entry].append(one)
    newest = {carrier: max(one.taken_at for one in snapshots if one.carrier == carrier) for carrier, _, _ in series}
    lines = [_line(found, newest[carrier]) for (carrier, _, _), found in series.items()]
    output.rows(screen(), _COLUMNS, [cells for _, cells in sorted(lines)], whole=1)


def write_history(snapshots: Sequence[CoverageSnapshot]) -> None:
    """Print every snapshot as JSON."""
    write_json({"snapshots": [{name: getattr(one, name) for name in CoverageSnapshot.__slots__} for one in snapshots]})


def _line(found: Sequence[CoverageSnapshot], newest: datetime) -> tuple[Any, tuple[str, ...]]:
    """Return one group's cells, and its place. A group that the newest snapshot does not have is sold out."""
    latest = found[0]
    now = latest.quantity if latest.taken_at == newest else 0
    before = next((one.quantity for one in found if one.taken_at <= newest - _WEEK), None)
    quantities = (now, *(one.quantity for one in found))
    cells = (
        latest.carrier,
        clean(latest.entry) or _ALL,
        str(now),
        "" if before is None else str(before),
        str(found[-1].quantity),
        str(min(quantities)),
        str(len(found)),
    )
    return (latest.carrier, latest.entry != "", now, latest.entry), cells
