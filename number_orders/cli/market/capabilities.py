"""What each carrier can do, as its adapter declares it: a row for each ability, a column for each carrier."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from config.settings import Settings
from number_orders.carriers.holdings import ShowsHoldings
from number_orders.carriers.market import Topic
from number_orders.cli import output, times
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.market.questions import SET_UP_HINT
from number_orders.cli.output import screen, write_json
from number_orders.orders.model import CarrierName, Kind
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
    lines = [(name, *(_cell(read(carrier)) for carrier in carriers.values())) for name, read in _ABILITIES.items()]
    output.rows(screen(), ("", *(name.upper() for name in carriers)), lines, whole=1)


def write_capabilities(carriers: Carriers) -> None:
    """Print the same as JSON."""
    write_json(
        {
            name: {_key(what): _value(read(carrier)) for what, read in _ABILITIES.items()}
            for name, carrier in carriers.items()
        }
    )


def _kinds(kinds: frozenset[Kind]) -> list[str]:
    return [kind.value for kind in Kind if kind in kinds]


def _answers(topic: Topic) -> Callable[[ConfiguredCarrier], Any]:
    return lambda carrier: topic in carrier.market.offers


_ABILITIES: Final[Mapping[str, Callable[[ConfiguredCarrier], Any]]] = {
    "kinds": lambda carrier: _kinds(carrier.adapter.capabilities.kinds),
    "quantity max": lambda carrier: carrier.adapter.capabilities.quantity_max,
    "partial": lambda carrier: carrier.adapter.capabilities.partial_fill,
    "backorder": lambda carrier: carrier.adapter.capabilities.backorder,
    "can cancel": lambda carrier: _kinds(carrier.adapter.capabilities.cancellable),
    "found by reference": lambda carrier: carrier.adapter.capabilities.found_by_reference,
    "reserve": lambda carrier: carrier.adapter.capabilities.reserves,
    "reconcile": lambda carrier: isinstance(carrier.adapter, ShowsHoldings),
    "taint window": lambda carrier: carrier.adapter.capabilities.taint_window,
    **{topic.value: _answers(topic) for topic in Topic},
}


_KEYS: Final[Mapping[str, str]] = {"can cancel": "called_back", "taint window": "taint_window_s"}
"""The JSON keys that differ from the label."""


def _key(name: str) -> str:
    return _KEYS.get(name, name.replace(" ", "_"))


def _value(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


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
