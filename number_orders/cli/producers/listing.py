"""Lists producers and operators with their tokens and budgets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.cli.output import clean, screen
from number_orders.cli.services import open_ledger
from number_orders.fulfilment.authority import Role
from number_orders.ledger.allowances import Allowance
from number_orders.ledger.producers import ProducerRow, TokenRow
from number_orders.orders.budget import Above, Span
from number_orders.orders.removal_right import RemovalRight
from number_orders.story import times

REMOVES: Final[Mapping[RemovalRight, str]] = {
    RemovalRight.OWN: "the numbers that its own orders brought",
    RemovalRight.UNKNOWN: "its own numbers and those of no producer",
    RemovalRight.ANY: "every number, other producers' too",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A producer or operator with what belongs to it. `row` is None for one that nobody has added."""

    name: str
    row: ProducerRow | None
    tokens: Sequence[TokenRow]
    allowances: Sequence[Allowance]


async def read_producers(settings: Settings) -> list[Listed]:
    """Return everybody who was added, or has ordered or a limit, by name."""
    async with open_ledger(settings) as ledger:
        rows = {row.producer: row for row in await ledger.producers.all()}
        tokens = await ledger.producers.tokens()
        allowances = await ledger.allowances.read(numbers_per_hour=settings.default_numbers_per_hour)
    names = sorted({*rows, *(allowance.producer for allowance in allowances)})
    return [
        Listed(
            name,
            rows.get(name),
            [token for token in tokens if token.producer == name],
            [allowance for allowance in allowances if allowance.producer == name],
        )
        for name in names
    ]


def show_producers(found: Sequence[Listed]) -> None:
    """Print each with its tokens and limits."""
    console = screen()
    if not found:
        console.print("no producers; `number-orders producers add NAME` adds one")
    for one in found:
        role = one.row.role if one.row else "not added"
        keys = one.row.signing_keys if one.row else 0
        signs = f"  {keys} signing key{'s' if keys > 1 else ''}" if keys else ""
        console.print(Text.assemble((clean(one.name), "bold"), f"  {role}{signs}"))
        for token in one.tokens:
            console.print(f"  token {token.token_id}  {_token_facts(token)}", soft_wrap=not console.is_terminal)
        if one.row and one.row.role == Role.PRODUCER:
            console.print(f"  may remove {REMOVES[one.row.removals]}")
        for line in budget_lines(one.allowances):
            console.print(f"  {line}", soft_wrap=not console.is_terminal)


def budget_lines(allowances: Sequence[Allowance]) -> Iterator[str]:
    """Return one line for each limit: `1000 numbers an hour, 120 taken until 2026-11-29 14:05 UTC`."""
    for allowance in allowances:
        if allowance.numbers_max is None and len(allowances) > 1:
            continue
        yield _budget_line(allowance)


def producers_to_json(found: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [
        {
            "producer": one.name,
            "role": one.row.role if one.row else None,
            "signing_keys": one.row.signing_keys if one.row else 0,
            "removals": one.row.removals if one.row else None,
            "tokens": [_fields(token, leave_out={"producer", "now"}) for token in one.tokens],
            "budget": [
                {**_fields(allowance, leave_out={"producer"}), "left": allowance.left} for allowance in one.allowances
            ],
        }
        for one in found
    ]


def _token_facts(token: TokenRow) -> str:
    used = f"used {times.when(token.last_used_at, token.now)}" if token.last_used_at else "never used"
    label = f"{clean(token.label)}, " if token.label else ""
    return f"{label}made {_date(token.made_at)} by {clean(token.made_by)}, {used}, {_validity(token)}"


def _validity(token: TokenRow) -> str:
    if token.revoked_at is not None:
        return f"revoked {_date(token.revoked_at)} by {clean(token.revoked_by)}"
    if token.expires_at is None:
        return "valid until it is revoked"
    return f"valid until {_date(token.expires_at)}" if token.is_valid else f"expired {_date(token.expires_at)}"


def _budget_line(allowance: Allowance) -> str:
    where = f" at {allowance.carrier}" if allowance.carrier else ""
    if allowance.numbers_max is None:
        return f"no limit{where}"
    words = {Span.ORDER: "in an order", Span.HOUR: "an hour", Span.DAY: "a day"}[allowance.span]
    taken = f", {allowance.taken} taken until {allowance.until:%Y-%m-%d %H:%M} UTC" if allowance.until else ""
    above = "; above it parked" if allowance.above is Above.PARK else ""
    default = "; the default, since nobody has set a limit" if allowance.is_default else ""
    return f"{allowance.numbers_max} numbers {words}{where}{taken}{above}{default}"


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _fields(row: Any, *, leave_out: set[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__ if name not in leave_out}
