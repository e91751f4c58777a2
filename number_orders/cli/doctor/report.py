"""Looks at everything, one line each: what is well, what is wrong, and how to mend it."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.cli.discovery import look
from number_orders.cli.doctor.checks import (
    Check,
    Verdict,
    check_broker,
    check_database,
    check_packages,
    check_variables,
    check_worries,
)
from number_orders.cli.doctor.running_checks import Roll, check_carriers
from number_orders.cli.exits import Code, Stop
from number_orders.cli.output import clean, screen

_MARKS: Final = {
    Verdict.GOOD: ("ok", "green"),
    Verdict.LOOK: ("look", "yellow"),
    Verdict.WRONG: ("WRONG", "bold red"),
    Verdict.SKIPPED: ("-", "dim"),
}


def examine() -> Iterator[Check]:
    """Check everything, in the order in which things need one another."""
    yield from check_variables()
    try:
        found = look()
    except Stop as unusable:
        yield Check("settings", Verdict.WRONG, unusable.message, unusable.mend or "correct the variables named here")
        return
    settings = found.settings
    yield Check("settings", Verdict.GOOD, f"from {found.where}")
    yield check_packages(found)
    database = check_database(settings)
    yield database
    broker = check_broker(settings)
    yield broker
    yield from _running(settings, broker_answers=broker.verdict is Verdict.GOOD)
    if database.verdict is Verdict.GOOD:
        yield from asyncio.run(check_worries(settings))
    else:
        yield Check("alarms", Verdict.SKIPPED, "not asked: the database is wrong")


def show_check(check: Check) -> None:
    """Print one check: a line, and below it how to mend what is wrong."""
    mark, style = _MARKS[check.verdict]
    console = screen()
    piped = not console.is_terminal
    console.print(Text.assemble((f"{mark:<6}", style), f"{check.name:<10}", clean(check.says)), soft_wrap=piped)
    if check.mend:
        console.print(Text.assemble((f"{'':<16}→ {clean(check.mend)}", "bold")), soft_wrap=piped)


def checks_to_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks for a machine."""
    told = [{"name": c.name, "verdict": c.verdict.value, "says": c.says, "mend": c.mend} for c in checks]
    return {"ok": code_of(checks) is Code.DONE, "checks": told}


def code_of(checks: Sequence[Check]) -> Code:
    """Return the exit code: what a person should only look at is not wrong."""
    return Code.NO if any(check.verdict is Verdict.WRONG for check in checks) else Code.DONE


def _running(settings: Settings, *, broker_answers: bool) -> Iterator[Check]:
    if not broker_answers:
        yield Check("workers", Verdict.SKIPPED, "not asked: the broker is wrong")
        yield from check_carriers(settings)
        return
    with Roll(settings) as roll:
        yield roll.call()
        yield from check_carriers(settings)  # meanwhile, beat ticks
        yield roll.call_again()
