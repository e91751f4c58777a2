"""Shows what would become of the orders in a file, and stores nothing."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from config.settings import Settings
from number_orders.cli.exits import ExitCode
from number_orders.cli.orders.order_files import FileEntry
from number_orders.cli.output import aside, clean, rows, screen, write_json
from number_orders.cli.services import open_services
from number_orders.fulfilment.answers import faults_to_json
from number_orders.fulfilment.intake import Prospect, Refusal, Ticket

Checked = Sequence[tuple[FileEntry, Ticket | Refusal | Prospect]]


async def check_orders(settings: Settings, entries: Sequence[FileEntry], *, producer: str) -> Checked:
    """Check orders in their sequence: their form, the carriers' rules, known keys, and the producer's budget."""
    async with open_services(settings) as services:
        foreseen = await services.intake.check([entry.order for entry in entries], producer=producer)
    return list(zip(entries, foreseen, strict=True))


def exit_code(checked: Checked) -> ExitCode:
    """Return the exit code: not done, if any order would be refused."""
    return ExitCode.NO if any(isinstance(each, Refusal) for _, each in checked) else ExitCode.DONE


def show_checked(checked: Checked) -> None:
    """Print what would become of each order, and why."""
    cells = [
        (entry.place, clean(key), Text(would, "red" if would == "refuse" else ""), clean(why))
        for entry, outcome in checked
        for key, would, why in [_words(outcome)]
    ]
    rows(screen(), ("ORDER", "KEY", "WOULD", "WHY"), cells)
    counts = {word: sum(_would(each) == word for _, each in checked) for word in ("accept", "park", "find", "refuse")}
    aside().print(", ".join(f"{count} to {word}" for word, count in counts.items() if count) + "; nothing was stored")


def write_checked(checked: Checked) -> None:
    """Print the same as JSON."""
    write_json({"orders": [_to_json(entry, outcome) for entry, outcome in checked]})


def _would(outcome: Ticket | Refusal | Prospect) -> str:
    match outcome:
        case Ticket():
            return "find"
        case Refusal():
            return "refuse"
        case Prospect(parked=parked):
            return "accept" if parked is None else "park"


def _words(outcome: Ticket | Refusal | Prospect) -> tuple[str | None, str, str]:
    match outcome:
        case Ticket(key=key):
            return key, "find", "the key is known: it is that order"
        case Refusal(key=key, error=error):
            return key, "refuse", "; ".join(str(fault) for fault in error.faults)
        case Prospect(request=request, parked=parked):
            return request.key, _would(outcome), parked or ""


def _to_json(entry: FileEntry, outcome: Ticket | Refusal | Prospect) -> dict[str, Any]:
    key, would, _ = _words(outcome)
    faults = faults_to_json(outcome.error.faults) if isinstance(outcome, Refusal) else []
    parked = outcome.parked if isinstance(outcome, Prospect) else None
    return {"at": entry.number, "place": entry.place, "key": key, "would": would, "faults": faults, "parked": parked}
