"""Adds producers and operators, makes and revokes their tokens and keys, and sets their limits."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from config.settings import OFF, Settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import aside, clean, screen
from number_orders.cli.producers.listing import REMOVES, Listed, read_producers
from number_orders.cli.services import open_ledger
from number_orders.fulfilment.authority import Role
from number_orders.ledger.allowances import Limit
from number_orders.ledger.holdings import ADOPTER
from number_orders.ledger.producers import NewToken
from number_orders.orders.budget import Above, Span
from number_orders.orders.removal_right import RemovalRight

_NAME_CHARS_MAX: Final = 100
_NUMBERS_MAX: Final = 2**31 - 1


async def add_producer(settings: Settings, name: str, *, is_operator: bool, by: str) -> str:
    """Add a producer or operator; return what to print."""
    role = Role.OPERATOR if is_operator else Role.PRODUCER
    _check_name(name)
    if name == ADOPTER:
        raise Stop(ExitCode.USAGE, f"{ADOPTER} is the producer of adopted numbers, which are nobody's")
    async with open_ledger(settings) as ledger:
        if not await ledger.producers.add(name, role, by=by):
            raise Stop(ExitCode.NO, f"there is a producer or operator {clean(name)} already")
    return f"added {role} {name}; `number-orders producers token {name}` makes a token"


async def make_token(settings: Settings, name: str, *, lasts: timedelta | None, label: str | None, by: str) -> NewToken:
    """Make a token."""
    async with open_ledger(settings) as ledger:
        made = await ledger.producers.make_token(name, by=by, lasts=lasts, label=clean(label) or None)
    if made is None:
        raise _unknown(name)
    return made


def show_token(name: str, made: NewToken) -> None:
    """Print a token on standard output, and what to know of it beside."""
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "until it is revoked"
    aside().print(f"token {made.token_id} of {clean(name)}, valid {until}; it is not shown again:")
    screen().print(made.text, soft_wrap=True)


def token_to_json(name: str, made: NewToken) -> Mapping[str, Any]:
    """Return the same as JSON."""
    return {"producer": name, "token_id": made.token_id, "token": made.text, "expires_at": made.expires_at}


async def revoke_token(settings: Settings, token_id: UUID, *, by: str) -> str:
    """Revoke a token; return what to print."""
    async with open_ledger(settings) as ledger:
        name = await ledger.producers.revoke_token(token_id, by=by)
    if name is None:
        raise Stop(
            ExitCode.NO, f"no valid token has the id {token_id}", hint="`number-orders producers list` shows them"
        )
    return f"revoked token {token_id} of {clean(name)}"


async def make_signing_key(settings: Settings, name: str, *, by: str) -> str:
    """Make a signing key."""
    async with open_ledger(settings) as ledger:
        secret = await ledger.producers.make_signing_key(name, by=by)
    if secret is None:
        raise _unknown(name)
    return secret


def show_signing_key(name: str, secret: str) -> None:
    """Print a signing key on standard output, and what to know of it beside."""
    aside().print(f"signing key of {clean(name)}; it is not shown again:")
    screen().print(secret, soft_wrap=True)


async def retire_signing_keys(settings: Settings, name: str) -> str:
    """Retire all signing keys of a producer but the newest; return what to print."""
    async with open_ledger(settings) as ledger:
        if await ledger.producers.find(name) is None:
            raise _unknown(name)
        retired = await ledger.producers.retire_signing_keys(name)
    return f"retired {retired} of the signing keys of {clean(name)}"


def read_limits(
    *, per_order: str | None, per_hour: str | None, per_day: str | None, carrier: str | None
) -> list[Limit]:
    """Read the limits of a command line.

    Raises:
        Stop: There is none, or one is neither a number nor `off`.
    """
    given = {Span.ORDER: per_order, Span.HOUR: per_hour, Span.DAY: per_day}
    limits = [Limit(span, _numbers(text), carrier) for span, text in given.items() if text is not None]
    if not limits:
        raise Stop(ExitCode.USAGE, "no limit is given", hint="give --per-order, --per-hour or --per-day")
    return limits


async def set_limits(settings: Settings, name: str, limits: Sequence[Limit], *, above: Above) -> list[Listed]:
    """Set limits of a producer, whether it was added or not; return it as it is listed now."""
    _check_name(name)
    async with open_ledger(settings) as ledger:
        carriers = await ledger.schedule.carriers()
        unknown = {limit.carrier for limit in limits if limit.carrier is not None} - set(carriers)
        if unknown:
            hint = f"it is one of: {', '.join(carriers) or 'none yet; start a worker'}"
            raise Stop(ExitCode.NO, f"no worker here has ever worked for a carrier {clean(unknown.pop())!r}", hint=hint)
        await ledger.allowances.set_limits(name, limits, above=above)
    return [one for one in await read_producers(settings) if one.name == name]


async def set_removals(settings: Settings, name: str, right: RemovalRight) -> str:
    """Set which numbers a producer may remove; return what to print."""
    async with open_ledger(settings) as ledger:
        if not await ledger.producers.set_removals(name, right):
            raise _unknown(name)
    return f"{clean(name)} may remove {REMOVES[right]}"


def _check_name(name: str) -> None:
    """Refuse what no message could name as its producer.

    Raises:
        Stop: It is no name.
    """
    if not 0 < len(name) <= _NAME_CHARS_MAX or not name.isprintable() or name != name.strip():
        message = f"a name has 1 to {_NAME_CHARS_MAX} printable characters, and no blanks around them"
        raise Stop(ExitCode.USAGE, message)


def _numbers(text: str) -> int | None:
    if text == OFF:
        return None
    if text.isdecimal() and int(text) <= _NUMBERS_MAX:
        return int(text)
    raise Stop(ExitCode.USAGE, f"{clean(text)!r} is no limit", hint="write a number, or off")


def _unknown(name: str) -> Stop:
    text = f"there is no producer or operator {clean(name)}"
    return Stop(ExitCode.NO, text, hint=f"`number-orders producers add {clean(name)}` adds it")
