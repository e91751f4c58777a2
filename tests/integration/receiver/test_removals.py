"""A producer removes what its own orders brought, and learns nothing of what others have."""

import asyncio
from typing import Any

import httpx
import pytest

from number_orders.orders.removal_right import RemovalRight
from tests.integration.fulfilment.practice import an_order
from tests.integration.receiver.conftest import Running
from tests.integration.receiver.test_numbers import bought
from tests.integration.receiver.test_orders import names, submit

ELSEWHERE = "+19195550134"


def a_removal(key: str, *numbers: str) -> dict[str, Any]:
    return an_order(key, kind="remove_numbers", numbers=list(numbers), criteria=None, quantity=None)


def permit(receiver: Running, producer: str, right: RemovalRight) -> None:
    async def permitting() -> None:
        async with receiver.practice.opened() as services:
            await services.ledger.producers.add(producer, "producer", by="test")
            assert await services.ledger.producers.set_removals(producer, right)

    asyncio.run(permitting())


@pytest.mark.parametrize("way", ["alone", "batch", "dry run"])
def test_anothers_number_is_refused_by_field_and_rule(
    crm: httpx.Client, shop: httpx.Client, receiver: Running, way: str
) -> None:
    """Its owner is not named, and the rule for a number that nobody has is the same."""
    order_id, e164 = bought(crm, receiver)
    removal = a_removal("shop-1", ELSEWHERE, e164)
    match way:
        case "alone":
            answer = shop.post("/v1/orders", json=removal)
            assert (answer.status_code, names(answer)) == (422, "order-refused")
            faults = answer.json()["faults"]
        case "batch":
            answer = shop.post("/v1/orders:batch", json={"orders": [removal]})
            faults = answer.json()["refused"][0]["faults"]
        case _:
            answer = shop.post("/v1/orders", params={"dry_run": True}, json=removal)
            assert answer.json()["would"] == "refuse"
            faults = answer.json()["faults"]
    assert [fault["field"] for fault in faults] == ["numbers.0", "numbers.1"]
    assert faults[0]["rule"] == faults[1]["rule"]
    assert faults[0]["rule"].startswith("must be a number that an order of this producer brought")
    assert faults[0]["rule"].endswith("number-orders producers removals shop unknown")
    assert "crm" not in answer.text
    assert order_id not in answer.text
    assert shop.get("/v1/orders").json()["orders"] == []
    assert crm.get(f"/v1/numbers/{e164}").json()["held"]


def test_permission_widens_what_may_be_removed(crm: httpx.Client, shop: httpx.Client, receiver: Running) -> None:
    _, e164 = bought(crm, receiver)
    permit(receiver, "shop", RemovalRight.UNKNOWN)
    answer = shop.post("/v1/orders", json=a_removal("shop-1", ELSEWHERE, e164))
    (fault,) = answer.json()["faults"]
    assert (fault["field"], "another producer" in fault["rule"]) == ("numbers.1", True)
    assert shop.post("/v1/orders", json=a_removal("shop-1", ELSEWHERE)).status_code == 201
    permit(receiver, "shop", RemovalRight.ANY)
    assert shop.post("/v1/orders", json=a_removal("shop-2", e164)).status_code == 201


def test_key_that_was_accepted_has_its_answer_for_ever(
    crm: httpx.Client, shop: httpx.Client, receiver: Running
) -> None:
    """Also when the number has become another's since. The same key with another body is a conflict, as before."""
    _, e164 = bought(crm, receiver)
    first = crm.post("/v1/orders", json=a_removal("crm-2", e164))
    receiver.work()
    receiver.practice.carrier.advance(1000)  # the number is sold again
    order = an_order("shop-1", numbers=[e164], criteria=None, quantity=None)
    assert shop.post("/v1/orders", json=order).status_code == 201
    receiver.work()
    assert shop.get(f"/v1/numbers/{e164}").json()["held"]

    again = crm.post("/v1/orders", json=a_removal("crm-2", e164))
    assert (again.status_code, again.json()["order_id"]) == (200, first.json()["order_id"])
    (ticket,) = crm.post("/v1/orders:batch", json={"orders": [a_removal("crm-2", e164)]}).json()["tickets"]
    assert ticket["order_id"] == first.json()["order_id"]
    assert names(crm.post("/v1/orders", json=a_removal("crm-2", e164, ELSEWHERE))) == "key-conflict"
    assert names(crm.post("/v1/orders", json=a_removal("crm-3", e164))) == "order-refused"


def test_producer_does_not_learn_who_removed_its_number(
    crm: httpx.Client, shop: httpx.Client, ada: httpx.Client, receiver: Running
) -> None:
    order_id, e164 = bought(crm, receiver)
    permit(receiver, "shop", RemovalRight.ANY)
    removal = submit(shop, "shop-1", kind="remove_numbers", numbers=[e164], criteria=None, quantity=None)["order_id"]
    receiver.work()
    told = crm.get(f"/v1/numbers/{e164}")
    assert (told.json()["held"], told.json()["order_id"], told.json()["released_by"]) == (False, order_id, None)
    assert told.json()["released_at"] is not None
    assert removal not in told.text
    assert ada.get(f"/v1/numbers/{e164}").json()["released_by"] == removal
    assert [order["order_id"] for order in shop.get(f"/v1/numbers/{e164}").json()["orders"]] == [removal]


def test_document_names_its_producer(crm: httpx.Client, ada: httpx.Client) -> None:
    order_id = submit(crm)["order_id"]
    assert crm.get(f"/v1/orders/{order_id}").json()["producer"] == "crm"
    assert [order["producer"] for order in ada.get("/v1/orders").json()["orders"]] == ["crm"]
