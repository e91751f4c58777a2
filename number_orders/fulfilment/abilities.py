"""What each carrier can do, as its adapter and its market declare it: one value for each ability."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from number_orders.carriers.contract import Adapter
from number_orders.carriers.holdings import ShowsHoldings
from number_orders.carriers.market import Market, Topic
from number_orders.orders.model import Kind

Ability = Callable[[Adapter, Market], Any]


def _kinds(kinds: frozenset[Kind]) -> list[str]:
    return [kind.value for kind in Kind if kind in kinds]


def _answers(topic: Topic) -> Ability:
    return lambda _, market: topic in market.offers


ABILITIES: Final[Mapping[str, Ability]] = {
    "kinds": lambda adapter, _: _kinds(adapter.capabilities.kinds),
    "quantity max": lambda adapter, _: adapter.capabilities.quantity_max,
    "partial": lambda adapter, _: adapter.capabilities.partial_fill,
    "backorder": lambda adapter, _: adapter.capabilities.backorder,
    "can cancel": lambda adapter, _: _kinds(adapter.capabilities.cancellable),
    "found by reference": lambda adapter, _: adapter.capabilities.found_by_reference,
    "reserve": lambda adapter, _: adapter.capabilities.reserves,
    "reconcile": lambda adapter, _: isinstance(adapter, ShowsHoldings),
    "taint window": lambda adapter, _: adapter.capabilities.taint_window,
    **{topic.value: _answers(topic) for topic in Topic},
}
"""The abilities by their names for people."""


_KEYS: Final[Mapping[str, str]] = {"can cancel": "called_back", "taint window": "taint_window_s"}
"""The JSON keys that differ from the name."""


def abilities_to_json(adapter: Adapter, market: Market) -> dict[str, Any]:
    """Return what one carrier can do as JSON values; durations are in seconds."""
    return {_KEYS.get(name, name.replace(" ", "_")): _value(read(adapter, market)) for name, read in ABILITIES.items()}


def _value(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value
