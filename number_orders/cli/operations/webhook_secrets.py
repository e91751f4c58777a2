"""The command `webhook-secrets`: the secrets that sign the documents sent to a producer's URLs."""

from collections.abc import Sequence
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.cli import output
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import clean, screen
from number_orders.cli.services import open_ledger
from number_orders.ledger.webhook_secrets import KnownSecret
from number_orders.story.times import both

_NAME_LENGTH_MAX: Final = 100


def producer_name(given: str) -> str:
    """Return the name of a producer.

    Raises:
        Stop: No order can name such a producer.
    """
    if not 0 < len(given) <= _NAME_LENGTH_MAX or not given.isprintable() or given != given.strip():
        raise Stop(ExitCode.USAGE, f"a producer's name has 1 to {_NAME_LENGTH_MAX} printable characters")
    return given


async def add_secret(settings: Settings, producer: str, *, by: str) -> tuple[int, str]:
    """Make and store a secret; return its id and the secret, which is never shown again.

    Raises:
        Stop: The producer has two already.
    """
    from number_orders.fulfilment.webhooks.messages import new_secret  # noqa: PLC0415  listing needs no signatures

    secret = new_secret()
    async with open_ledger(settings) as ledger:
        secret_id = await ledger.webhook_secrets.add(producer, secret, by=by)
    if secret_id is None:
        raise Stop(
            ExitCode.NO,
            f"{producer} has two secrets already, the one in use and the next",
            hint=f"remove one that its receiver does not use: number-orders webhook-secrets {producer} remove ID",
        )
    return secret_id, secret


async def read_secrets(settings: Settings, producer: str) -> list[KnownSecret]:
    """Return every secret that a producer has or had."""
    async with open_ledger(settings) as ledger:
        return await ledger.webhook_secrets.known(producer)


async def remove_secret(settings: Settings, producer: str, secret_id: int | None, *, by: str) -> list[KnownSecret]:
    """Forget a secret; return what the producer has and had then.

    Raises:
        Stop: No id was given, or the producer has no such secret.
    """
    if secret_id is None:
        raise Stop(ExitCode.USAGE, "which one? give its id", hint=f"number-orders webhook-secrets {producer} list")
    async with open_ledger(settings) as ledger:
        if not await ledger.webhook_secrets.remove(producer, secret_id, by=by):
            raise Stop(ExitCode.NO, f"{producer} has no secret {secret_id}")
        return await ledger.webhook_secrets.known(producer)


def show_secrets(producer: str, known: Sequence[KnownSecret]) -> None:
    """Print the secrets by their ids, those that were removed too."""
    console = screen()
    if known:
        cells = (
            (str(each.secret_id), _state(each), both(each.added_at, each.now), clean(each.added_by)) for each in known
        )
        output.rows(console, ("ID", "STATE", "ADDED", "BY"), cells)
    if not any(each.removed_at is None for each in known):
        console.print(
            Text(f"{producer} has no secret: its orders with notify.url are refused, and documents wait", "yellow")
        )


def secrets_to_json(known: Sequence[KnownSecret]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    names = ("secret_id", "producer", "added_at", "added_by", "removed_at", "removed_by")
    return [{name: getattr(each, name) for name in names} for each in known]


def _state(secret: KnownSecret) -> str:
    if secret.removed_at is None:
        return "valid"
    return f"removed {both(secret.removed_at, secret.now)} by {clean(secret.removed_by)}"
