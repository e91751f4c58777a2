"""Which addresses of PostgreSQL and of brokers can work; the others are refused when the settings are read.

Reads addresses only; connects to nothing. Every refusal says what to write instead, and repeats no password.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

REDIS: Final = ("redis", "rediss", "sentinel")
"""Brokers that also store tickets."""
AMQP: Final = ("amqp", "amqps")
TICKET_DATABASE: Final = "postgresql"
"""Tickets may be stored in PostgreSQL, as `postgresql://…`."""

_WRITES: Final = ("read-write", "primary")


def scheme_of(url: str) -> str:
    """Return the scheme of an address, in lower case; empty if it has none."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def check_database_url(url: str) -> None:
    """Check the address of the ledger.

    Raises:
        ValueError: No worker can use it; with the reason.
    """
    scheme = scheme_of(url)
    if scheme and scheme not in {"postgresql", "postgres"}:
        raise ValueError(f"must start with postgresql://, not {scheme}://: the ledger is PostgreSQL")
    _check_hosts(_libpq_parameters(url))


def check_broker_url(url: str, *, sentinel_master: str | None) -> None:
    """Check the address of the broker.

    Raises:
        ValueError: No worker can use it; with the reason.
    """
    if scheme_of(url) not in {*REDIS, *AMQP}:
        raise ValueError(f"must start with one of {_listed((*REDIS, *AMQP))}{_instead(scheme_of(url))}")
    _check_servers(url, sentinel_master)


def check_result_url(url: str, *, sentinel_master: str | None) -> None:
    """Check the address of the store of tickets.

    Raises:
        ValueError: No ticket can be stored there; with the reason.
    """
    scheme = scheme_of(url)
    if scheme == TICKET_DATABASE:
        _check_hosts(_libpq_parameters(url))
        return
    if scheme not in REDIS:
        why = ": RabbitMQ stores no tickets" if scheme in {*AMQP, "rpc"} else _instead(scheme)
        raise ValueError(f"must start with one of {_listed((*REDIS, TICKET_DATABASE))}{why}")
    _check_servers(url, sentinel_master)


def _check_servers(url: str, sentinel_master: str | None) -> None:
    scheme, servers = scheme_of(url), list(_servers(url))
    if len(servers) > 1 and scheme in {"redis", "rediss"}:
        raise ValueError(f"{scheme}:// takes one server: several would not have the same messages (see sentinel://)")
    if scheme == "sentinel" and not sentinel_master:
        raise ValueError("sentinel:// also needs SENTINEL_MASTER, the name under which the sentinels know the master")
    if any(scheme_of(part) not in {"", scheme} for part in url.split(";")):
        raise ValueError(f"every server of the list must start with {scheme}://")
    for server in servers:
        if not server.hostname:
            raise ValueError(f"names no server: write {scheme}://user:password@host:port/…")
    database = servers[0].path.strip("/")
    if scheme in REDIS and database and not database.isdigit():
        raise ValueError("the database after the last / must be a number")


def _servers(url: str) -> Iterator[SplitResult]:
    for part in url.split(";"):
        server = urlsplit(part if "://" in part else f"{scheme_of(url)}://{part}")
        try:
            server.port  # noqa: B018  raises if it is no number
        except ValueError:
            raise ValueError("the port must be a number; write special characters of a password as %XX") from None
        yield server


def _libpq_parameters(url: str) -> Mapping[str, str]:
    from psycopg import ProgrammingError  # noqa: PLC0415  only where an address is given
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError as unreadable:
        reason = re.split('[":]', str(unreadable))[0].strip()  # what follows may be the password
        raise ValueError(f"libpq cannot read it ({reason} …); write special characters of a password as %XX") from None


def _check_hosts(parameters: Mapping[str, str]) -> None:
    wanted = parameters.get("target_session_attrs", "any")
    if wanted in {"read-only", "standby", "prefer-standby"}:
        raise ValueError(f"target_session_attrs={wanted} chooses a server that takes no writes: write read-write")
    if "," in parameters.get("host", "") + parameters.get("hostaddr", "") and wanted not in _WRITES:
        raise ValueError("several hosts need target_session_attrs=read-write: the first that answers may be a standby")


def _instead(scheme: str) -> str:
    match scheme:
        case "valkey" | "valkeys":
            return f": for Valkey write {scheme.replace('valkey', 'redis')}://"
        case "pyamqp" | "librabbitmq":
            return ": for RabbitMQ write amqp://"
        case "db+postgresql" | "db+postgresql+psycopg" | "postgres":
            return f": write {TICKET_DATABASE}://"
        case "":
            return ""
        case _:
            return f", not {scheme}://: nothing else was tested"


def _listed(schemes: tuple[str, ...]) -> str:
    return ", ".join(f"{scheme}://" for scheme in schemes)
