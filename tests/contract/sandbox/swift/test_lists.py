"""Lists and coverage at the sandbox Swift."""

from typing import Any

import pytest

from tests.contract.sandbox.swift.client import OWN, SUB, SwiftClient, new_numbers, remove


def page(swift: SwiftClient, rest: str, **query: Any) -> tuple[list[str], dict[str, Any]]:
    answer = swift.get(rest, **query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["type"] == "list"
    return [item["data"]["id"] for item in body["data"]["items"]], body["data"]["page_info"]


def follow_pages(swift: SwiftClient, rest: str, towards: str, **query: object) -> list[list[str]]:
    pages, info = [], {towards: ""}
    while info[towards] is not None:
        ids, info = page(swift, rest, **query, **({towards: info[towards]} if info[towards] else {}))
        pages.append(ids)
    return pages


def test_pages_have_fifty_items_by_default(swift: SwiftClient) -> None:
    swift.order(new_numbers(60, npa="919"))
    first, info = page(swift, "/dids")

    assert (len(first), info["limit"], info["total"], info["before"]) == (50, 50, None, None)
    second, rest = page(swift, "/dids", after=info["after"])
    assert (len(second), rest["after"]) == (10, None)
    assert len(set(first + second)) == 60
    assert page(swift, "/dids", limit=1000)[1]["limit"] == 100


@pytest.mark.parametrize("oldest_first", [True, False])
def test_cursors_lead_forwards_and_backwards(swift: SwiftClient, oldest_first: bool) -> None:
    swift.control.behave(list_oldest_first=oldest_first)
    swift.order(new_numbers(7, npa="919"))
    moments = {did["id"]: did["inserted_at"] for did in swift.dids()}

    there = follow_pages(swift, "/dids", "after", limit=3)

    ids = [item for ids in there for item in ids]
    assert [len(ids) for ids in there] == [3, 3, 1]
    assert [moments[item] for item in ids] == sorted(moments.values(), reverse=not oldest_first)
    _, last = page(swift, "/dids", limit=3, after=page(swift, "/dids", limit=6)[1]["after"])
    back, info = page(swift, "/dids", limit=3, before=last["before"])
    assert back == there[1]
    assert page(swift, "/dids", limit=3, before=info["before"])[0] == there[0]
    assert page(swift, "/dids", limit=3, after=info["after"])[0] == there[2]


def test_removed_numbers_leave_no_gaps_in_pages(swift: SwiftClient) -> None:
    numbers = swift.bought(6, npa="919")
    swift.control.advance(1800)
    swift.order(remove(*numbers[:4]))

    assert [len(ids) for ids in follow_pages(swift, "/dids", "after", limit=2)] == [2]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"after": "nowhere"}, {"after": "MDE="}])
def test_invalid_page_is_refused(swift: SwiftClient, query: dict[str, str]) -> None:
    assert swift.get("/dids", **query).status_code == 400


def test_lists_of_one_account_name_the_account(swift: SwiftClient) -> None:
    swift.order(new_numbers(), account=SUB)

    (everywhere,) = swift.get("/dids").json()["data"]["items"]
    (there,) = swift.get("/dids", account=SUB).json()["data"]["items"]

    assert everywhere["associations"] == {}
    assert there["associations"] == {"account": {"data": {"id": SUB}, "type": "account"}}
    assert everywhere["data"] == there["data"]
    assert swift.get(f"/dids/{there['data']['id']}", account=OWN).status_code == 404


def test_did_has_the_fields_of_its_page(swift: SwiftClient) -> None:
    swift.order(new_numbers())
    (did,) = swift.dids()

    assert sorted(did) == [
        "id", "inserted_at", "mms_enabled", "mms_status", "number", "sms_enabled", "sms_status", "updated_at"
    ]  # fmt: skip
    assert did["inserted_at"].endswith("Z")
    assert len(did["inserted_at"]) == len("2025-12-01T05:06:21.249813Z")


def test_orders_are_listed_after_their_delay(swift: SwiftClient) -> None:
    swift.control.behave(listing_delay_s=60)
    order_id = swift.order(new_numbers())

    assert page(swift, "/orders")[0] == []
    assert swift.status(order_id) == "COMPLETED"
    swift.control.advance(61)
    assert page(swift, "/orders")[0] == [order_id]


def coverage(swift: SwiftClient, *group_by: str, **filters: str) -> dict[str, Any]:
    query = {"number_type": "tendlc", "group_by[]": list(group_by), **filters}
    answer = swift.http.get("/api/v1/inventory/coverage", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["type"], body["associations"]) == ("inventory_coverage", {})
    found: dict[str, Any] = body["data"]
    return found


def test_coverage_counts_what_can_be_bought(swift: SwiftClient) -> None:
    before = coverage(swift, "npa")
    swift.order(new_numbers(3, npa="919"))
    after = coverage(swift, "npa")

    by_npa = [{entry["value"]["npa"]: entry["quantity"] for entry in data["entries"]} for data in (before, after)]
    assert before["entries"][0]["key"] == ["npa"]
    assert before["quantity"] - after["quantity"] == by_npa[0]["919"] - by_npa[1]["919"] == 3
    assert sum(by_npa[1].values()) == after["quantity"]
    free = swift.control.report()["totals"]["stock"]["swift"]
    assert free == {"free": after["quantity"], "dids": 3}


def test_coverage_by_several_fields(swift: SwiftClient) -> None:
    data = coverage(swift, "state", "rate_center", "npa", "nxx", "lata", "country_code", npa="919")

    keys = ["state", "rate_center", "npa", "nxx", "lata", "country_code"]
    assert all(entry["key"] == keys == list(entry["value"]) for entry in data["entries"])
    places = {(entry["value"]["state"], entry["value"]["lata"]) for entry in data["entries"]}
    assert places == {("NC", "426")}
    assert {entry["value"]["rate_center"] for entry in data["entries"]} == {"RALEIGH", "DURHAM", "CARY"}


@pytest.mark.parametrize(
    "filters",
    [
        {"npa": "919"},
        {"state": "nc"},
        {"rate_center": "raleigh"},
        {"lata": "426"},
        {"country_code": "1"},
        {"npa": "919", "rate_center": "DURHAM"},
    ],
)
def test_coverage_filters(swift: SwiftClient, filters: dict[str, str]) -> None:
    data = coverage(swift, *filters, **filters)

    assert data["quantity"] > 0
    assert [entry["value"] for entry in data["entries"]] == [{name: each.upper() for name, each in filters.items()}]


def test_coverage_without_groups_or_matches(swift: SwiftClient) -> None:
    assert coverage(swift)["entries"] == []
    assert coverage(swift)["quantity"] > 0
    assert coverage(swift, "npa", country_code="44") == {"entries": [], "quantity": 0}
    assert coverage(swift, "npa", nxx="999") == {"entries": [], "quantity": 0}


@pytest.mark.parametrize("query", ["", "number_type=local", "number_type=tendlc&group_by[]=planet"])
def test_invalid_coverage_query_is_refused(swift: SwiftClient, query: str) -> None:
    assert swift.http.get(f"/api/v1/inventory/coverage?{query}").status_code == 422


@pytest.mark.parametrize("oldest_first", [True, False])
def test_an_account_may_have_had_many_numbers_for_years(swift: SwiftClient, oldest_first: bool) -> None:
    """They are in front of the others, or behind them, on pages as short as they are to be; sub accounts have none."""
    swift.control.behave(list_oldest_first=oldest_first, swift_old_numbers=70, list_page_max=30)
    bought = swift.bought(2, npa="919")

    pages = follow_pages(swift, "/dids", "after", limit=100)
    assert [len(ids) for ids in pages] == [30, 30, 12]
    assert len({item for ids in pages for item in ids}) == 72
    last = page(swift, "/dids", limit=30, after=page(swift, "/dids", limit=60)[1]["after"])[1]
    assert page(swift, "/dids", limit=30, before=last["before"])[0] == pages[0]
    shown = [did["number"] for did in swift.dids(OWN, limit=100)]
    assert [number for number in shown if number in bought] == ([] if oldest_first else bought)
    assert len({number[:4] for number in shown} - {"1919"}) == 1
    assert swift.dids(SUB) == []


def test_the_cursor_of_an_old_number_is_valid_only_while_the_account_has_it(swift: SwiftClient) -> None:
    swift.control.behave(swift_old_numbers=200)
    cursor = page(swift, "/dids", limit=100)[1]["after"]
    assert swift.get("/dids", after=cursor).status_code == 200
    swift.control.behave(swift_old_numbers=10)
    assert swift.get("/dids", after=cursor).status_code == 400


def test_pages_may_be_shorter_than_asked_for(swift: SwiftClient) -> None:
    swift.control.behave(list_page_max=3)
    swift.order(new_numbers(7, npa="919"))

    pages = follow_pages(swift, "/dids", "after", limit=100)
    assert [len(ids) for ids in pages] == [3, 3, 1]
