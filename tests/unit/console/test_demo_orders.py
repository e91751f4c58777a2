"""The script of a demonstration: orders are good or meant not to be, and no two want one number but on purpose."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from carriers.bandwidth import Bandwidth
from carriers.bandwidth_search import search_type
from console.demo_orders import ORDERS_MIN, Script, write_script
from fulfilment.intake import Intake
from number_orders.contract import ORDERS_MAX
from orders.errors import OrderRefused
from orders.model import OrderRequest

SIZES = [ORDERS_MIN, 58, 87, 300]


def bodies(script: Script) -> Iterator[dict[str, Any]]:
    for call in script.calls:
        yield from call.kwargs.get("orders") or [call.kwargs["order"]]


@pytest.fixture(params=SIZES)
def script(request: pytest.FixtureRequest) -> Script:
    return write_script(request.param, seed=7)


def read(body: dict[str, Any]) -> OrderRequest | OrderRefused:
    intake = Intake(ledger=None, adapters={"bandwidth": Bandwidth("9900000", "743")}, bell=None)  # type: ignore[arg-type, dict-item]  # it only reads
    try:
        return intake._read(body)
    except OrderRefused as refused:
        return refused


def test_good_orders_are_good_and_bad_ones_are_not(script: Script) -> None:
    for body in bodies(script):
        assert isinstance(read(body), OrderRefused) is body["key"].startswith("demo-bad"), body


def test_keys_are_as_many_as_orders(script: Script) -> None:
    keys = Counter(body["key"] for body in bodies(script) if not body["key"].startswith("demo-bad"))

    assert len(keys) == script.orders
    assert sum(keys.values()) == script.orders + script.repeats + 1  # and one conflict


def test_every_type_of_order_is_there(script: Script) -> None:
    good = [order for body in bodies(script) if isinstance(order := read(body), OrderRequest)]

    types = {search_type(order.criteria) if order.criteria else "named" for order in good}

    assert len(types) == 11


def test_batches_are_no_longer_than_allowed(script: Script) -> None:
    assert max(len(call.kwargs.get("orders", ())) for call in script.calls) <= ORDERS_MAX


def test_few_numbers_are_wanted_by_two() -> None:
    singles = {body["key"]: body for body in bodies(write_script(300, seed=7)) if "numbers" in body}
    wanted = Counter(number for body in singles.values() if "criteria" not in body for number in body["numbers"])

    assert sorted(count for count in wanted.values() if count > 1) == [2, 2]


def test_same_seed_same_script() -> None:
    assert write_script(60, seed=7) == write_script(60, seed=7)
    assert write_script(60, seed=7) != write_script(60, seed=8)
