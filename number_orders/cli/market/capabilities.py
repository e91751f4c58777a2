"""What each carrier can do, as adapter and market declare it: a row for each ability, a column for each carrier."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from config.settings import Settings
from number_orders.carriers.market import Topic
from number_orders.cli import output, times
from number_orders.cli.exits import Code, Stop
from number_orders.cli.market.questions import SET_ONE_UP
from number_orders.cli.output import screen, write_json
from number_orders.orders.model import CarrierName, Kind
from workers.carriers import ConfiguredCarrier, configured_carriers

Known = Mapping[CarrierName, ConfiguredCarrier]


def declared(settings: Settings) -> Known:
    """Return the carriers that are set up.

    Raises:
        Stop: None is.
    """
    known = configured_carriers(settings)
    if not known:
        raise Stop(Code.OUT_OF_REACH, "no carrier is set up", mend=SET_ONE_UP)
    return dict(sorted(known.items()))


def show_declared(known: Known) -> None:
    """Print the table."""
    lines = [(name, *(_cell(read(carrier)) for carrier in known.values())) for name, read in _ABILITIES.items()]
    output.rows(screen(), ("", *(name.upper() for name in known)), lines, whole=1)


def write_declared(known: Known) -> None:
    """Print the same for a machine."""
    write_json(
        {
            name: {_key(what): _value(read(carrier)) for what, read in _ABILITIES.items()}
            for name, carrier in known.items()
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
    "called back": lambda carrier: _kinds(carrier.adapter.capabilities.called_back),
    "found by reference": lambda carrier: carrier.adapter.capabilities.found_by_reference,
    "reserve": lambda carrier: carrier.adapter.capabilities.reserves,
    "taint window": lambda carrier: carrier.adapter.capabilities.taint_window,
    **{topic.value: _answers(topic) for topic in Topic},
}


def _key(name: str) -> str:
    return "taint_window_s" if name == "taint window" else name.replace(" ", "_")


def _value(told: Any) -> Any:
    return told.total_seconds() if isinstance(told, timedelta) else told


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
