"""Runs all checks, and prints one line for each: ok, wrong, and how to repair it."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.cli.discovery import discover
from number_orders.cli.doctor.broker_checks import check_broker, check_broker_content
from number_orders.cli.doctor.carrier_checks import check_carriers
from number_orders.cli.doctor.checks import (
    Check,
    Verdict,
    check_backlog,
    check_database,
    check_packages,
    check_tickets,
    check_variables,
)
from number_orders.cli.doctor.notice_checks import check_notices
from number_orders.cli.doctor.process_checks import ProcessPoll
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import clean, screen
from number_orders.cli.services import log_only_warnings
from number_orders.orders.errors import LedgerUnavailable

_MARKS: Final = {
    Verdict.GOOD: ("ok", "green"),
    Verdict.LOOK: ("look", "yellow"),
    Verdict.WRONG: ("WRONG", "bold red"),
    Verdict.SKIPPED: ("-", "dim"),
}


def run_checks() -> Iterator[Check]:
    """Run all checks; each depends only on those before it."""
    log_only_warnings()
    yield from check_variables()
    try:
        found = discover()
    except Stop as unusable:
        yield Check("settings", Verdict.WRONG, unusable.message, unusable.hint or "correct the variables named here")
        return
    settings = found.settings
    yield Check("settings", Verdict.GOOD, f"from {found.where}")
    yield check_packages(found)
    database = check_database(settings)
    yield database
    broker = check_broker(settings)
    yield broker
    yield from check_tickets(settings)
    if broker.verdict in {Verdict.GOOD, Verdict.LOOK}:
        yield from check_broker_content(settings)
    yield from _running_checks(settings, database, broker)
    yield from check_notices(settings)
    if database.verdict is Verdict.GOOD:
        yield from _backlog_checks(settings)
    else:
        yield Check("alarms", Verdict.SKIPPED, "not checked, because the database is wrong")


def _backlog_checks(settings: Settings) -> Sequence[Check]:
    try:
        return asyncio.run(check_backlog(settings))
    except LedgerUnavailable as trouble:  # it went away after it was checked
        return [Check("alarms", Verdict.WRONG, str(trouble), "run `number-orders doctor` again")]


def show_check(check: Check) -> None:
    """Print one check: its line, and below it how to repair what is wrong."""
    mark, style = _MARKS[check.verdict]
    console = screen()
    piped = not console.is_terminal
    console.print(Text.assemble((f"{mark:<6}", style), f"{check.name:<10}", clean(check.says)), soft_wrap=piped)
    if check.remedy:
        console.print(Text.assemble((f"{'':<16}→ {clean(check.remedy)}", "bold")), soft_wrap=piped)


def checks_to_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as JSON."""
    entries = [{"name": c.name, "verdict": c.verdict.value, "says": c.says, "mend": c.remedy} for c in checks]
    return {"ok": exit_code(checks) is ExitCode.DONE, "checks": entries}


def exit_code(checks: Sequence[Check]) -> ExitCode:
    """Return the exit code: 1 if any check is WRONG; LOOK is not wrong."""
    return ExitCode.NO if any(check.verdict is Verdict.WRONG for check in checks) else ExitCode.DONE


def _running_checks(settings: Settings, database: Check, broker: Check) -> Iterator[Check]:
    if broker.verdict not in {Verdict.GOOD, Verdict.LOOK}:
        yield Check("workers", Verdict.SKIPPED, "not checked, because the broker is wrong")
        yield from check_carriers(settings)
        return
    with ProcessPoll(settings) as processes:
        yield from processes.check_workers()
        yield processes.check_clocks()
        yield from check_carriers(settings)  # meanwhile, beat sends sweeps
        yield processes.check_beat(ledger_is_wrong=database.verdict is not Verdict.GOOD)
