"""Telephone numbers as a person types them."""

from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import clean
from number_orders.orders.numbers import E164, parse_e164


def typed_number(text: str, *, option: str | None = None) -> E164:
    """Return a telephone number that was typed as an argument, or for this option.

    Raises:
        Stop: It is not E.164.
    """
    try:
        return parse_e164(text)
    except ValueError as wrong:
        where = f"{option}: " if option else ""
        raise Stop(ExitCode.USAGE, f"{where}{clean(text)} {wrong}") from wrong
