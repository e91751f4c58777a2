"""Carts at the sandbox Swift: the page's examples, and what is refused."""

import json

import httpx
import pytest

from tests.contract.sandbox.swift.client import (
    KEY,
    OWN,
    SUB,
    SUB_WITHOUT_MESSAGING,
    SwiftClient,
    add,
    new_numbers,
    remove,
)

CART = {"data": {"name": "cart name", "notes": "cart note"}, "type": "cart"}
REQUEST = {
    "type": "cart_request",
    "data": {
        "name": "request name",
        "notes": "request note",
        "type": "NEW_NUMBERS",
        "data": {"quantity": 5, "country_code": "1", "number_type": "tendlc"},
    },
}
OWNERS = {
    "account": {"data": {"id": OWN}, "type": "account"},
    "author": {"data": {"id": "01KBB59RM02N21V7K0V0000000"}, "type": "user"},
}


def test_the_pages_example(swift: SwiftClient) -> None:
    """Every answer has exactly the keys that the page prints."""
    opened = swift.http.post("/api/v1/carts", json=CART)
    cart = opened.json()["data"]
    cart_id, at = cart["id"], cart["inserted_at"]
    assert opened.status_code == 201
    assert opened.json() == {
        "associations": OWNERS,
        "data": {
            "id": cart_id,
            "inserted_at": at,
            "name": "cart name",
            "notes": "cart note",
            "reference_id": None,
            "updated_at": at,
        },
        "type": "cart",
    }
    assert len(cart_id) == 26
    assert len(at) == len("2025-12-01T05:06:21.249813Z")

    added = swift.http.post(f"/api/v1/carts/{cart_id}/requests", json=REQUEST)
    added_at = added.json()["data"]["inserted_at"]
    assert added.status_code == 201
    assert added.json() == {
        "associations": {**OWNERS, "cart": {"data": {"id": cart_id}, "type": "cart"}},
        "data": {
            "data": {},
            "id": cart_id,
            "inserted_at": added_at,
            "name": "request name",
            "notes": None,
            "reference_id": None,
            "type": "NONE",
            "updated_at": added_at,
        },
        "type": "cart_request",
    }

    done = swift.check_out(cart_id)
    order = done.json()["data"]
    assert done.status_code == 200
    assert done.json() == {
        "associations": OWNERS,
        "data": {
            "completed_at": None,
            "error_code": "OK",
            "id": cart_id,
            "inserted_at": at,
            "name": "cart name",
            "notes": None,
            "reference_id": None,
            "status": "NEW",
            "status_history": [
                {
                    "detail": "checkout cart",
                    "error_code": "OK",
                    "inserted_at": order["status_history"][0]["inserted_at"],
                    "status": "NEW",
                }
            ],
            "updated_at": order["updated_at"],
        },
        "type": "order",
    }
    assert order["updated_at"] > order["status_history"][0]["inserted_at"] > at


def test_removal_reply_has_its_type_and_no_data(swift: SwiftClient) -> None:
    cart_id = swift.open_cart()
    answer = swift.request(cart_id, remove("17055551234", "17055551235", "17055551236")).json()["data"]

    assert (answer["type"], answer["data"], answer["id"], answer["notes"]) == ("REMOVE_NUMBERS", {}, cart_id, None)


def test_added_numbers_as_on_the_page(swift: SwiftClient) -> None:
    """The page has notes inside the inner data, so they are no reason to refuse a request."""
    ids = ["01KBC4VZE1CFMG5MAB089000001", "01KBC4VZE1CFMG5MAB089000002"]
    numbers = "17055551234", "17055551235", "17055551236"
    request_body = add(*numbers, mms_enabled=True, api_key_ids=ids, notes="request note")

    order_id = swift.order(request_body)

    assert swift.status(order_id) == "COMPLETED"
    assert sorted(swift.numbers()) == sorted(numbers)
    assert {did["mms_status"] for did in swift.dids()} == {"AVAILABLE"}
    reported = swift.reported(order_id)
    assert (reported["bought"], sorted(reported["added"])) == ([], [f"+{number}" for number in numbers])


def test_replies_follow_the_behaviour(swift: SwiftClient) -> None:
    swift.control.behave(swift_replies="faithful")
    cart_id = swift.open_cart("ref-1")
    sent = new_numbers(2, npa="919")
    answer = swift.request(cart_id, sent).json()["data"]
    order = swift.check_out(cart_id).json()["data"]

    assert (answer["type"], answer["data"], answer["notes"]) == (sent["type"], sent["data"], "request note")
    assert answer["id"] != cart_id
    assert (order["notes"], order["reference_id"]) == ("cart note", "ref-1")


def test_second_checkout_is_refused_and_buys_nothing(swift: SwiftClient) -> None:
    cart_id = swift.order(new_numbers(2), reference="ref-1")

    assert swift.check_out(cart_id).status_code == 409
    swift.control.behave(second_checkout="422")
    assert swift.check_out(cart_id).status_code == 422
    swift.control.behave(second_checkout="same")
    same = swift.check_out(cart_id)

    assert (same.status_code, same.json()["data"]["id"], same.json()["data"]["status"]) == (200, cart_id, "COMPLETED")
    assert len(swift.numbers()) == 2
    assert swift.control.report()["duplicates"] == {"customer_order_ids": {}, "numbers": {}}


def test_two_orders_with_one_reference_are_reported(swift: SwiftClient) -> None:
    first, second = (swift.order(new_numbers(), reference="ref-1") for _ in range(2))

    assert swift.control.report()["duplicates"] == {"customer_order_ids": {"ref-1": [first, second]}, "numbers": {}}


def test_an_order_may_have_an_id_of_its_own(swift: SwiftClient) -> None:
    swift.control.behave(swift_order_id="own")
    cart_id = swift.open_cart("ref-1")
    swift.request(cart_id, new_numbers())
    order_id = swift.check_out(cart_id).json()["data"]["id"]

    assert order_id != cart_id
    assert swift.get(f"/orders/{cart_id}").status_code == 404
    assert swift.data(f"/orders/{order_id}")["reference_id"] == "ref-1"


def test_carts_can_be_read(swift: SwiftClient) -> None:
    cart_id = swift.open_cart("ref-1")
    swift.request(cart_id, new_numbers())
    swift.request(cart_id, remove("17055551234"))

    assert swift.data(f"/carts/{cart_id}")["reference_id"] == "ref-1"
    requests = swift.data(f"/carts/{cart_id}/requests")
    assert [item["data"]["type"] for item in requests["items"]] == ["NONE", "REMOVE_NUMBERS"]
    carts = swift.data("/carts")
    assert [item["data"]["id"] for item in carts["items"]] == [cart_id]
    assert swift.get(f"/orders/{cart_id}").status_code == 404


def test_empty_cart_cannot_be_checked_out(swift: SwiftClient) -> None:
    assert swift.check_out(swift.open_cart()).status_code == 422
    assert swift.control.report()["orders"] == []


def test_checked_out_cart_takes_no_more_requests(swift: SwiftClient) -> None:
    cart_id = swift.order(new_numbers())

    assert swift.request(cart_id, new_numbers()).status_code == 409


@pytest.mark.parametrize("path", ["/carts/x", "/orders/x", "/dids/x", "/carts/x/requests"])
def test_unknown_id_is_404(swift: SwiftClient, path: str) -> None:
    answer = swift.get(path)

    assert answer.status_code == 404
    assert answer.json() == {"errors": {"detail": "Not Found"}}


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        (new_numbers(0), "quantity"),
        ({"type": "NEW_NUMBERS", "data": {"quantity": "5", "number_type": "tendlc"}}, "quantity"),
        ({"type": "NEW_NUMBERS", "data": {"quantity": 5}}, "number_type"),
        (new_numbers(1, npa="91"), "npa"),
        (new_numbers(1, nxx="2700"), "nxx"),
        (remove("+17055551234"), "numbers"),
        (remove("1705555123"), "numbers"),
        (remove(), "numbers"),
        (remove("17055551234", "17055551234"), "numbers"),
        (add("hello"), "numbers"),
        (add("17055551234", api_key_ids=["unknown"]), "api_key_ids"),
        ({"type": "RENT_NUMBERS", "data": {}}, "type"),
        ({"type": "NEW_NUMBERS", "name": "", "data": new_numbers()["data"]}, "name"),
    ],
)
def test_invalid_request_is_refused(swift: SwiftClient, request_body: dict[str, object], field: str) -> None:
    cart_id = swift.open_cart()
    answer = swift.request(cart_id, request_body)

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert swift.check_out(cart_id).status_code == 422


@pytest.mark.parametrize(("body", "status"), [({"type": "cart"}, 422), ({"type": "order", "data": {"name": "x"}}, 422)])
def test_invalid_cart_is_refused(swift: SwiftClient, body: dict[str, object], status: int) -> None:
    assert swift.http.post("/api/v1/carts", json=body).status_code == status


def test_body_that_is_not_json_is_refused(swift: SwiftClient) -> None:
    assert swift.http.post("/api/v1/carts", content=b"{").status_code == 400


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer apik_unknown", 401),
        ("Bearer sandbox-token", 401),
        ("apik_sandbox", 401),
        ("", 401),
        ("Bearer apik_sandbox_without_user", 403),
    ],
)
def test_other_keys_are_refused(swift: SwiftClient, authorization: str, status: int) -> None:
    for path in ("/api/v1/dids", f"/api/v1/accounts/{SUB}/orders", "/api/v1/inventory/coverage"):
        assert swift.http.get(path, headers={"Authorization": authorization}).status_code == status


def test_sub_account_has_carts_orders_and_numbers_of_its_own(swift: SwiftClient) -> None:
    mine, theirs = swift.order(new_numbers(1)), swift.order(new_numbers(2), account=SUB)

    assert swift.get(f"/orders/{theirs}").status_code == 404
    assert swift.get(f"/carts/{mine}", account=SUB).status_code == 404
    assert swift.status(theirs, account=SUB) == "COMPLETED"
    owner = swift.get(f"/orders/{theirs}", account=SUB).json()["associations"]["account"]
    assert owner == {"data": {"id": SUB}, "type": "account"}
    assert len(swift.numbers(account=SUB)) == 2
    assert len(swift.numbers(account=OWN)) == 1
    assert len(swift.numbers()) == 3
    assert swift.reported(theirs)["account"] == SUB
    assert swift.get("/orders", account="01K3S620PA5JPWPR10F0000009").status_code == 404


def test_own_account_may_be_named_like_a_sub_account(swift: SwiftClient) -> None:
    order_id = swift.order(new_numbers(), account=OWN)

    assert swift.status(order_id) == "COMPLETED"


def test_adding_numbers_needs_approval(swift: SwiftClient) -> None:
    without = swift.open_cart(account=SUB_WITHOUT_MESSAGING)
    assert swift.request(without, add("17055551234"), account=SUB_WITHOUT_MESSAGING).status_code == 403
    no_mms = swift.open_cart(account=SUB)
    assert swift.request(no_mms, add("17055551234", mms_enabled=True), account=SUB).status_code == 422
    assert swift.request(no_mms, add("+17055551234"), account=SUB).status_code == 201


def test_crash_between_any_two_steps_can_be_resumed(swift: SwiftClient) -> None:
    """A cart keeps its requests, and only a checkout that was processed makes an order."""
    for kind, made in (("drop_before", False), ("drop_after", True)):
        cart_id = swift.open_cart("ref-1")
        swift.request(cart_id, new_numbers())
        swift.control.fault(kind, carrier="swift", path="/carts/{cartId}/checkout", times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            swift.check_out(cart_id)
        assert (swift.get(f"/orders/{cart_id}").status_code == 200) is made


def test_names_in_any_script(swift: SwiftClient) -> None:
    """Names in any script come back as they were sent."""
    cart = {"type": "cart", "data": {"name": "Zürich / 東京"}}
    answer = swift.http.post("/api/v1/carts", content=json.dumps(cart).encode(), headers=KEY)

    assert answer.json()["data"]["name"] == "Zürich / 東京"
