"""Orders over HTTP: taken in once a key, shown and listed to their producer alone, cancelled."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from number_orders.ledger.allowances import Limit
from number_orders.orders.budget import Above, Span
from tests.integration.fulfilment.practice import an_order
from tests.integration.receiver.conftest import Running


def names(answer: httpx.Response) -> str:
    """Return the name of the problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    return str(document["type"]).rpartition(":")[2]


def submit(client: httpx.Client, key: str = "crm-1", **changes: Any) -> dict[str, Any]:
    answer = client.post("/v1/orders", json=an_order(key, **changes))
    assert answer.status_code in {200, 201}, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


def set_limit(receiver: Running, limit: Limit) -> None:
    """Limit the orders of crm; what exceeds it is parked."""

    async def setting() -> None:
        async with receiver.practice.opened() as services:
            await services.ledger.allowances.set_limits("crm", [limit], above=Above.PARK)

    asyncio.run(setting())


def test_order_is_taken_in_once(crm: httpx.Client) -> None:
    """201 with its place; sent again 200 with the same ticket."""
    first = crm.post("/v1/orders", json=an_order("crm-1"))
    again = crm.post("/v1/orders", json=an_order("crm-1"))
    assert (first.status_code, again.status_code) == (201, 200)
    ticket = first.json()
    assert ticket == {"order_id": ticket["order_id"], "key": "crm-1", "state": "ACCEPTED", "new": True}
    assert again.json() == {**ticket, "new": False}
    assert first.headers["location"] == again.headers["location"] == f"/v1/orders/{ticket['order_id']}"
    assert crm.get(first.headers["location"]).json()["key"] == "crm-1"


def test_same_key_with_another_order_is_a_conflict(crm: httpx.Client) -> None:
    submit(crm, "crm-1", quantity=1)
    answer = crm.post("/v1/orders", json=an_order("crm-1", quantity=2))
    assert (answer.status_code, names(answer)) == (409, "key-conflict")
    assert answer.json()["faults"][0]["field"] == "key"


def test_key_may_stand_in_the_header(crm: httpx.Client) -> None:
    """In the header alone, in both alike, but not different."""
    keyless = {name: value for name, value in an_order().items() if name != "key"}
    ticket = crm.post("/v1/orders", json=keyless, headers={"Idempotency-Key": "crm-9"}).json()
    assert ticket["key"] == "crm-9"
    same = crm.post("/v1/orders", json=an_order("crm-9"), headers={"Idempotency-Key": "crm-9"})
    assert same.json()["order_id"] == ticket["order_id"]
    different = crm.post("/v1/orders", json=an_order("crm-8"), headers={"Idempotency-Key": "crm-9"})
    assert (different.status_code, names(different)) == (422, "order-refused")


def test_bad_order_names_field_and_rule(crm: httpx.Client) -> None:
    answer = crm.post("/v1/orders", json=an_order("crm-1", quantity=0, carrier="nobody"))
    assert (answer.status_code, names(answer)) == (422, "order-refused")
    assert {fault["field"] for fault in answer.json()["faults"]} == {"quantity"}
    assert all(fault["rule"] for fault in answer.json()["faults"])


def test_producers_do_not_see_each_other(crm: httpx.Client, shop: httpx.Client) -> None:
    """Another's order is one that does not exist: to show, to follow, to cancel, to list."""
    order_id = submit(crm)["order_id"]
    assert submit(shop)["order_id"] != order_id  # the same key is another order
    for answer in (
        shop.get(f"/v1/orders/{order_id}"),
        shop.get(f"/v1/orders/{order_id}/events"),
        shop.get(f"/v1/orders/{order_id}/events", headers={"Accept": "text/event-stream"}),
        shop.post(f"/v1/orders/{order_id}/cancel", json={"why": "mine now"}),
    ):
        assert (answer.status_code, names(answer)) == (404, "unknown-order")
    assert order_id not in shop.get("/v1/orders").text
    assert names(shop.get("/v1/orders", params={"producer": "crm"})) == "forbidden"
    assert crm.get(f"/v1/orders/{order_id}").json()["state"] == "ACCEPTED"


def test_operator_sees_every_order_and_places_none(ada: httpx.Client, crm: httpx.Client, shop: httpx.Client) -> None:
    of_crm, of_shop = submit(crm)["order_id"], submit(shop)["order_id"]
    everything = [order["order_id"] for order in ada.get("/v1/orders").json()["orders"]]
    assert set(everything) == {of_crm, of_shop}
    (only,) = ada.get("/v1/orders", params={"producer": "shop"}).json()["orders"]
    assert only["order_id"] == of_shop
    assert ada.get(f"/v1/orders/{of_crm}").status_code == 200
    refused = ada.post("/v1/orders", json=an_order("crm-2"))
    assert (refused.status_code, names(refused)) == (403, "forbidden")
    cancelled = ada.post(f"/v1/orders/{of_crm}/cancel", json={"why": "asked by phone"}).json()
    assert cancelled["state"] == "CANCELLED"
    told = crm.get(f"/v1/orders/{of_crm}/events").json()["events"][-1]
    assert told["text"] == "cancel asked by ada: asked by phone"


@pytest.mark.parametrize("token", [None, "Bearer nobody", "Bearer", "Basic Y3JtOng=", f"Bearer {'x' * 5000}"])
def test_without_a_valid_token_nothing_is_told(receiver: Running, token: str | None) -> None:
    with receiver.client(**({"Authorization": token} if token else {})) as stranger:
        for answer in (
            stranger.get("/v1/orders"),
            stranger.post("/v1/orders", json=an_order()),
            stranger.get("/v1/carriers"),
        ):
            assert (answer.status_code, names(answer)) == (401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_batch_answers_each_order_by_itself(crm: httpx.Client) -> None:
    known = submit(crm, "known")
    orders = [an_order("known"), an_order("new"), an_order("bad", quantity=0), an_order("known", quantity=3), 7]
    answer = crm.post("/v1/orders:batch", json={"orders": orders}).json()
    assert [(ticket["index"], ticket["key"], ticket["new"]) for ticket in answer["tickets"]] == [
        (0, "known", False),
        (1, "new", True),
    ]
    assert answer["tickets"][0]["order_id"] == known["order_id"]
    assert [(refusal["index"], refusal["key"]) for refusal in answer["refused"]] == [
        (2, "bad"),
        (3, "known"),
        (4, None),
    ]
    assert all(refusal["faults"][0]["rule"] for refusal in answer["refused"])


def test_key_that_cannot_be_sent_back_costs_the_batch_nothing(crm: httpx.Client) -> None:
    """Half a surrogate pair is JSON, and no UTF-8."""
    body = json.dumps({"orders": [an_order("good"), an_order("\ud800")]})
    answer = crm.post("/v1/orders:batch", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert [ticket["key"] for ticket in answer.json()["tickets"]] == ["good"]
    assert [(refusal["index"], refusal["key"]) for refusal in answer.json()["refused"]] == [(1, "?")]


def test_batch_of_too_many_is_refused_whole(crm: httpx.Client, receiver: Running) -> None:
    answer = crm.post("/v1/orders:batch", json={"orders": [an_order(f"k{n}") for n in range(501)]})
    assert (answer.status_code, names(answer)) == (422, "order-refused")
    assert receiver.practice.rows("SELECT count(*) AS n FROM orders")[0]["n"] == 0
    bodies: list[Any] = [{}, {"orders": 5}, {"orders": [], "more": 1}, []]
    for body in bodies:
        assert crm.post("/v1/orders:batch", json=body).status_code == 422


def test_concurrent_orders_are_taken_in_together(receiver: Running) -> None:
    """Each has its own answer: new, known, refused; and one key raced for is one order."""
    keys = [f"crm-{n % 40}" for n in range(120)]
    with receiver.client(Authorization="Bearer crm-token") as client, ThreadPoolExecutor(20) as pool:
        tickets = list(pool.map(lambda key: submit(client, key), keys))
        bad = list(pool.map(lambda n: client.post("/v1/orders", json=an_order(f"bad-{n}", quantity=-n)), range(20)))
    assert len({ticket["order_id"] for ticket in tickets}) == 40
    assert sum(ticket["new"] for ticket in tickets) == 40
    assert {ticket["key"]: ticket["order_id"] for ticket in tickets} == {
        ticket["key"]: ticket["order_id"] for ticket in reversed(tickets)
    }
    assert {answer.status_code for answer in bad} == {422}
    rows = receiver.practice.rows("SELECT count(*) AS orders, count(DISTINCT accepted_at) AS statements FROM orders")[0]
    assert rows["orders"] == 40
    assert rows["statements"] < 40, "no two orders shared a statement"


def test_etag_is_the_version(crm: httpx.Client, receiver: Running) -> None:
    path = f"/v1/orders/{submit(crm)['order_id']}"
    first = crm.get(path)
    assert first.headers["etag"] == '"0"'
    for header in ('"0"', 'W/"0"', '"7", "0"', "*"):
        unchanged = crm.get(path, headers={"If-None-Match": header})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    receiver.work()
    changed = crm.get(path, headers={"If-None-Match": '"0"'})
    assert changed.status_code == 200
    assert changed.json()["state"] == "COMPLETED"
    assert changed.headers["etag"] == f'"{changed.json()["version"]}"'


def test_list_by_pages_and_filters(crm: httpx.Client, receiver: Running) -> None:
    made = [submit(crm, f"crm-{n}")["order_id"] for n in range(5)]
    crm.post(f"/v1/orders/{made[0]}/cancel")
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = crm.get("/v1/orders", params=params).json()
        seen += [order["order_id"] for order in page["orders"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == made[::-1]

    def keys(**wanted: Any) -> list[str]:
        return [order["key"] for order in crm.get("/v1/orders", params=wanted).json()["orders"]]

    assert keys(state="CANCELLED") == ["crm-0"]
    assert keys(state=["CANCELLED", "ACCEPTED"], limit=200) == [f"crm-{n}" for n in (4, 3, 2, 1, 0)]
    assert keys(key="crm-3") == ["crm-3"]
    assert keys(carrier="cm") == keys(kind="remove_numbers") == keys(number="+19195550100") == []
    moment = crm.get(f"/v1/orders/{made[2]}").json()["accepted_at"]
    assert keys(accepted_after=moment) == ["crm-4", "crm-3", "crm-2"]
    assert keys(accepted_before=moment) == ["crm-1", "crm-0"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cursor", "nonsense"),
        ("cursor", "AQ"),
        ("cursor", "é"),
        ("limit", "0"),
        ("limit", "201"),
        ("state", "DONE"),
        ("kind", "port"),
        ("number", "911"),
        ("accepted_after", "yesterday"),
        ("accepted_after", "2026-01-01T00:00:00"),
        ("accepted_before", "0001-01-01T00:00:00+23:00"),
    ],
)
def test_bad_parameter_is_named(crm: httpx.Client, field: str, value: str) -> None:
    answer = crm.get("/v1/orders", params={field: value})
    assert (answer.status_code, names(answer)) == (422, "bad-request")
    assert answer.json()["faults"][0]["field"].startswith(field)


def test_cancel(crm: httpx.Client, receiver: Running) -> None:
    """Before it is sent it ends; twice changes nothing more; after its end it is too late."""
    order_id = submit(crm)["order_id"]
    answer = crm.post(f"/v1/orders/{order_id}/cancel", json={"why": "the customer left"})
    assert answer.json()["state"] == "CANCELLED"
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    assert crm.post(f"/v1/orders/{order_id}/cancel").json()["version"] == answer.json()["version"]
    done = submit(crm, "crm-2")["order_id"]
    receiver.work()
    late = crm.post(f"/v1/orders/{done}/cancel")
    assert (late.status_code, names(late)) == (409, "not-cancellable")
    bodies: list[Any] = [{"why": 5}, {"why": "x" * 1001}, {"because": "x"}, {"why": "\x00"}, []]
    for body in bodies:
        assert crm.post(f"/v1/orders/{done}/cancel", json=body).status_code == 422


def test_dry_run_stores_nothing(crm: httpx.Client, receiver: Running) -> None:
    """It says what would happen, and how many such numbers the carrier offers."""

    def would(**changes: Any) -> dict[str, Any]:
        answer = crm.post("/v1/orders", params={"dry_run": 1}, json={**an_order("crm-1"), **changes})
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document

    accepted = would(quantity=3)
    assert accepted["would"] == "accept"
    assert accepted["stock"] == {"available": 3, "enough": True, "why_unknown": None}
    assert would(criteria={"npa": "212"}, quantity=3000)["stock"]["enough"] is False
    refused = would(quantity=0)
    assert (refused["would"], refused["faults"][0]["field"]) == ("refuse", "quantity")
    assert receiver.practice.rows("SELECT 1 FROM orders") == []
    ticket = submit(crm, "crm-1")
    assert would()["ticket"] == {**ticket, "new": False}
    budget = [{"span": "order", "carrier": None, "numbers_max": 5, "left": 5, "until": None, "above": "park"}]
    set_limit(receiver, Limit(Span.ORDER, 5))
    assert would(key="crm-2", quantity=5)["budget"] == budget
    parked = would(key="crm-2", quantity=6)
    assert (parked["would"], parked["budget"]) == ("park", budget)
    assert parked["parked"] == "budget: 6 numbers are more than 5, the most in an order"
    conflict = would(quantity=9)
    assert (conflict["would"], conflict["conflict"]) == ("refuse", True)
    assert receiver.practice.sold() == []
