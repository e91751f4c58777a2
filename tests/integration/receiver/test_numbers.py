"""A number: who brought it, when, and until when it may not be removed; and what carriers say when they are asked."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.receiver.parts import Limits
from tests.integration.fulfilment.practice import Practice, an_order
from tests.integration.receiver.conftest import CRM, Running, running_receiver
from tests.integration.receiver.test_orders import names, submit


def bought(crm: httpx.Client, receiver: Running) -> tuple[str, str]:
    """Order a number, and return the order and the number."""
    order_id = submit(crm)["order_id"]
    receiver.work()
    (number,) = crm.get(f"/v1/orders/{order_id}").json()["numbers"]
    assert number["state"] == "acquired"
    return order_id, number["e164"]


def test_number_names_the_order_that_brought_it(
    crm: httpx.Client, shop: httpx.Client, ada: httpx.Client, receiver: Running
) -> None:
    order_id, e164 = bought(crm, receiver)
    told = crm.get(f"/v1/numbers/{e164}").json()
    assert told | {"acquired_at": None, "orders": []} == {
        "e164": e164,
        "held": True,
        "carrier": "bandwidth",
        "account": None,
        "producer": "crm",
        "order_id": order_id,
        "key": "crm-1",
        "acquired_at": None,
        "released_at": None,
        "released_by": None,
        "taint": None,
        "orders": [],
    }
    assert told["acquired_at"] is not None
    assert [(order["order_id"], order["number_state"]) for order in told["orders"]] == [(order_id, "acquired")]
    assert ada.get(f"/v1/numbers/{e164}").json() == told
    unknown = shop.get(f"/v1/numbers/{e164}")
    assert (unknown.status_code, names(unknown)) == (404, "unknown-number")
    (listed,) = crm.get("/v1/orders", params={"number": e164}).json()["orders"]
    assert listed["order_id"] == order_id


def test_released_number_is_not_held(crm: httpx.Client, receiver: Running) -> None:
    order_id, e164 = bought(crm, receiver)
    removal = submit(crm, "crm-2", kind="remove_numbers", numbers=[e164], criteria=None, quantity=None)["order_id"]
    receiver.work()
    told = crm.get(f"/v1/numbers/{e164}").json()
    assert (told["held"], told["order_id"], told["released_by"]) == (False, order_id, removal)
    assert [order["order_id"] for order in told["orders"]] == [removal, order_id]


def test_taint_counts_down(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the carrier's window and PostgreSQL's clock."""
    with running_receiver(practice) as receiver, receiver.client(**CRM) as crm:
        _, e164 = bought(crm, receiver)
        tainting = replace(practice.adapter().capabilities, taint_window=timedelta(minutes=30))
        monkeypatch.setattr(Bandwidth, "capabilities", tainting)
        taint = crm.get(f"/v1/numbers/{e164}").json()["taint"]
        assert 0 < taint["seconds_left"] <= 1800
        practice.pass_time(minutes=31)
        assert crm.get(f"/v1/numbers/{e164}").json()["taint"] is None


@pytest.mark.parametrize("number", ["911", "+1911", "abc", "%2B19195550100x", "19195550100"])
def test_bad_number_is_named(crm: httpx.Client, number: str) -> None:
    answer = crm.get(f"/v1/numbers/{number}")
    assert (answer.status_code, names(answer)) == (422, "bad-request")
    assert answer.json()["faults"][0]["field"] == "e164"


def test_search(crm: httpx.Client) -> None:
    found = crm.get("/v1/search", params={"npa": "919", "quantity": 3}).json()
    assert len(found["offers"]) == 3
    assert {offer["carrier"] for offer in found["offers"]} == {"bandwidth"}
    assert all(offer["e164"].startswith("+1919") for offer in found["offers"])
    assert found["failures"] == []


@pytest.mark.parametrize(
    ("path", "params", "name"),
    [
        ("/v1/search", {"nxx": "555"}, "question-refused"),
        ("/v1/search", {"carrier": "nobody", "npa": "919"}, "question-refused"),
        ("/v1/search", {"npa": "919", "quantity": "0"}, "bad-request"),
        ("/v1/search", {"npa": "919", "colour": "red"}, "bad-request"),
        ("/v1/search", {"npa": "9" * 101}, "bad-request"),
        ("/v1/coverage", {"npa": "919"}, "question-refused"),
        ("/v1/restrictions", {"country": "it"}, "bad-request"),
        ("/v1/restrictions", {}, "bad-request"),
    ],
)
def test_bad_question_is_named(crm: httpx.Client, path: str, params: dict[str, Any], name: str) -> None:
    answer = crm.get(path, params=params)
    assert (answer.status_code, names(answer)) == (422, name)
    assert answer.json()["faults"][0]["rule"]


def test_restrictions_and_carriers(crm: httpx.Client) -> None:
    assert crm.get("/v1/restrictions", params={"country": "ITA"}).json()["restrictions"]
    carriers = crm.get("/v1/carriers").json()
    assert carriers["bandwidth"]["search"] is True
    assert carriers["bandwidth"]["kinds"] == ["new_numbers", "remove_numbers"]


def test_silent_carrier_is_502(crm: httpx.Client, receiver: Running) -> None:
    receiver.practice.carrier.fault("drop_before", method="GET", path="/availableNumbers")
    answer = crm.get("/v1/search", params={"npa": "919"})
    assert (answer.status_code, names(answer)) == (502, "no-answer")
    assert answer.json()["failures"][0]["carrier"] == "bandwidth"


def test_too_many_questions_wait(practice: Practice) -> None:
    with running_receiver(practice, Limits(questions_max=0)) as receiver, receiver.client(**CRM) as crm:
        answer = crm.get("/v1/search", params={"npa": "919"})
        assert (answer.status_code, names(answer)) == (429, "too-many-requests")
        assert crm.post("/v1/orders", json=an_order()).status_code == 201
