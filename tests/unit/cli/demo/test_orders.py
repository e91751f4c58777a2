"""The demo's orders are valid or meant to be invalid, and two orders want one number only on purpose."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import Settings
from number_orders.carriers.bandwidth.search import search_type
from number_orders.cli.demo.orders import ORDERS_MIN, PRODUCERS, Call, Way, Workload
from number_orders.cli.demo.orders import make_workload as make_workload_for
from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.fulfilment.order_reader import OrderReader
from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.orders.errors import OrderRefused
from number_orders.orders.model import OrderRequest
from number_orders_client.contract import ORDERS_MAX
from workers.carriers import adapters
from workers.clock import utc_now

SIZES = [ORDERS_MIN, 87, 120, 300, 3000]
ADAPTERS = adapters(Settings(**sandbox_settings("http://127.0.0.1:1")))  # type: ignore[arg-type]  # settings check for themselves
HOOK_URL = "https://hooks.example:8443/hooks"
SOME_NUMBER = "+17055550100"
"""Replaces the numbers that a removal learns from other orders."""


def make_workload(orders: int, seed: int) -> Workload:
    return make_workload_for(orders, seed, HOOK_URL)


def bodies(workload: Workload) -> Iterator[dict[str, Any]]:
    for call in workload.calls:
        yield from call.kwargs.get("orders") or [order_of(call)]


def order_of(call: Call) -> dict[str, Any]:
    order: dict[str, Any] = call.kwargs["order"]
    return {**order, "numbers": [SOME_NUMBER]} if call.gives_back else order


@pytest.fixture(params=SIZES)
def workload(request: pytest.FixtureRequest) -> Workload:
    return make_workload(request.param, seed=7)


def read(body: dict[str, Any]) -> OrderRequest | OrderRefused:
    try:
        return OrderReader(ADAPTERS, AddressRules(), utc_now).read(body)
    except OrderRefused as refused:
        return refused


def test_valid_orders_are_valid_and_invalid_ones_are_not(workload: Workload) -> None:
    for body in bodies(workload):
        assert isinstance(read(body), OrderRefused) is body["key"].startswith("demo-bad"), body


def test_keys_are_as_many_as_orders(workload: Workload) -> None:
    keys = Counter(body["key"] for body in bodies(workload) if not body["key"].startswith("demo-bad"))

    assert len(keys) == workload.orders
    assert sum(keys.values()) == workload.orders + workload.repeats + 1  # and one conflict


def test_every_type_of_order_is_there(workload: Workload) -> None:
    good = [order for body in bodies(workload) if isinstance(order := read(body), OrderRequest)]
    from_bandwidth = [order for order in good if order.carrier == "bandwidth"]

    types = {search_type(order.criteria) if order.criteria else "named" for order in from_bandwidth}

    assert len(types) == 11


def test_every_carrier_gets_every_kind_that_it_offers(workload: Workload) -> None:
    asked = {(order.carrier, order.kind) for body in bodies(workload) if isinstance(order := read(body), OrderRequest)}

    assert asked == {(name, kind) for name, adapter in ADAPTERS.items() for kind in adapter.capabilities.kinds}


def test_removed_numbers_come_from_an_earlier_order_of_the_same_account(workload: Workload) -> None:
    sent: dict[str, dict[str, Any]] = {}
    for call in workload.calls:
        for source in call.gives_back:
            assert {name: sent[source].get(name) for name in ("carrier", "account")} == {
                name: call.kwargs["order"].get(name) for name in ("carrier", "account")
            }
        if "order" in call.kwargs:
            sent[call.call_id] = call.kwargs["order"]
    given_back = [call for call in workload.calls if call.gives_back]
    assert len({call.gives_back for call in given_back}) == len(given_back) - 1  # two want the same numbers gone
    assert any(call.kwargs["order"].get("when_tainted") == "split" for call in given_back)


def test_batches_are_no_longer_than_allowed(workload: Workload) -> None:
    assert max(len(call.kwargs.get("orders", ())) for call in workload.calls) <= ORDERS_MAX


def test_both_producers_order_singly_and_in_batches_of_two_carriers(workload: Workload) -> None:
    for way in Way:
        calls = workload.over(way)
        assert {call.task for call in calls} == {"orders.submit", "orders.submit_many"}
        assert {call.kwargs["producer"] for call in calls} == {PRODUCERS[way]}
        assert any(order_of(call)["key"].startswith("demo-bad") for call in calls if "order" in call.kwargs)
    assert workload.keys(Way.QUEUE).isdisjoint(workload.keys(Way.HTTP))
    assert len(workload.keys(Way.QUEUE) | workload.keys(Way.HTTP)) == workload.orders
    over_http = [body for body in bodies(workload) if body["key"] in workload.keys(Way.HTTP)]
    assert {body["carrier"] for body in over_http} == {"bandwidth", "cm"}


def test_producer_is_told_the_way_that_it_orders(workload: Workload) -> None:
    for body in bodies(workload):
        if "notify" in body:
            by_url = body["key"] in workload.keys(Way.HTTP)
            assert body["notify"].get("url") == (HOOK_URL if by_url else None)
            assert ("task" in body["notify"]) is not by_url


def test_two_numbers_are_wanted_by_two_orders_each() -> None:
    singles = {
        body["key"]: body
        for body in bodies(make_workload(300, seed=7))
        if "numbers" in body and body["kind"] != "remove_numbers"
    }
    wanted = Counter(number for body in singles.values() if "criteria" not in body for number in body["numbers"])

    assert sorted(count for count in wanted.values() if count > 1) == [2, 2]


def test_same_seed_same_workload() -> None:
    assert make_workload(100, seed=7) == make_workload(100, seed=7)
    assert make_workload(100, seed=7) != make_workload(100, seed=8)
