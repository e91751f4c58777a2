"""What each carrier can do, as its adapter declares it: a row for each ability, a column for each carrier."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from config.settings import Settings
from number_orders.cli import output
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.market.questions import SET_UP_HINT
from number_orders.cli.output import screen, write_json
from number_orders.fulfilment.abilities import ABILITIES, abilities_to_json
from number_orders.orders.model import CarrierName
from number_orders.story import times
from workers.carriers import ConfiguredCarrier, configured_carriers

Carriers = Mapping[CarrierName, ConfiguredCarrier]


def carriers_by_name(settings: Settings) -> Carriers:
    """Return the configured carriers.

    Raises:
        Stop: There is none.
    """
    carriers = configured_carriers(settings)
    if not carriers:
        raise Stop(ExitCode.OUT_OF_REACH, "no carrier is set up", hint=SET_UP_HINT)
    return dict(sorted(carriers.items()))


def show_capabilities(carriers: Carriers) -> None:
    """Print the table."""
    lines = [
        (name, *(_cell(read(carrier.adapter, carrier.market)) for carrier in carriers.values()))
        for name, read in ABILITIES.items()
    ]
    output.rows(screen(), ("", *(name.upper() for name in carriers)), lines, whole=1)


def write_capabilities(carriers: Carriers) -> None:
    """Print the same as JSON."""
    write_json({name: abilities_to_json(carrier.adapter, carrier.market) for name, carrier in carriers.items()})


def _cell(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value) or "no"
        case timedelta():
            return times.span(value)
        case None:
            return "none"
        case _:
            return str(value)
