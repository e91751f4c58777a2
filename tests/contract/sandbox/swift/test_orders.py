"""Orders at the sandbox Swift: statuses, numbers, removals."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.sandbox.swift.client import OWN, SUB, SwiftClient, add, new_numbers, remove

TAINT_S = 1800


def age(swift: SwiftClient, seconds: float = TAINT_S) -> None:
    swift.control.advance(seconds)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_order_runs_through_its_statuses(swift: SwiftClient) -> None:
    swift.control.behave(processing_s=100)
    order_id = swift.order(new_numbers(2, npa="919"), reference="ref-1")

    seen = []
    for _ in range(3):
        order = swift.data(f"/orders/{order_id}")
        seen.append((order["status"], len(swift.numbers()), order["completed_at"] is not None))
        swift.control.advance(51)

    assert seen == [("NEW", 0, False), ("PROCESSING", 0, False), ("COMPLETED", 2, True)]
    order = swift.data(f"/orders/{order_id}")
    history = order["status_history"]
    assert [entry["status"] for entry in history] == ["NEW", "PROCESSING", "COMPLETED"]
    assert [entry["inserted_at"] for entry in history] == sorted(entry["inserted_at"] for entry in history)
    assert order["reference_id"] == "ref-1"
    ended = swift.reported(order_id)
    assert ended["ended_at"] == order["completed_at"]
    assert [number[:5] for number in ended["bought"]] == ["+1919", "+1919"]


def test_numbers_are_not_usable_at_once(swift: SwiftClient) -> None:
    swift.control.behave(swift_usable_s=60)
    swift.order(new_numbers(npa="919"))

    (early,) = swift.dids()
    swift.control.advance(61)
    (late,) = swift.dids()

    assert (early["sms_status"], early["mms_status"]) == ("PENDING", "PENDING")
    assert (late["sms_status"], late["mms_status"]) == ("AVAILABLE", "AVAILABLE")
    assert moment(late["updated_at"]) - moment(early["inserted_at"]) == timedelta(seconds=60)
    assert swift.data(f"/dids/{late['id']}") == late


def test_numbers_may_appear_after_the_order_is_done(swift: SwiftClient) -> None:
    swift.control.behave(swift_did_delay_s=60)
    order_id = swift.order(new_numbers(npa="919"))

    assert (swift.status(order_id), swift.numbers()) == ("COMPLETED", [])
    swift.control.advance(61)
    assert len(swift.numbers()) == 1


def test_order_does_not_say_what_it_bought(swift: SwiftClient) -> None:
    order_id = swift.order(new_numbers(3, npa="919"))
    text = swift.get(f"/orders/{order_id}").text

    assert [number for number in swift.numbers() if number in text] == []


def test_every_request_of_a_cart_is_performed(swift: SwiftClient) -> None:
    (old,) = swift.bought(npa="919")
    age(swift)
    order_id = swift.order(new_numbers(2, npa="303"), remove(old), add("17055551234"))

    assert swift.status(order_id) == "COMPLETED"
    numbers = swift.numbers()
    assert old not in numbers
    assert "17055551234" in numbers
    assert [number[1:4] for number in numbers].count("303") == 2
    reported = swift.reported(order_id)
    assert (reported["quantity"], reported["removed"]) == (4, [f"+{old}"])
    assert reported["kind"] == "NEW_NUMBERS+REMOVE_NUMBERS+ADD_MESSAGING_NUMBERS"


@pytest.mark.parametrize(
    ("filters", "prefix"),
    [
        ({"npa": "919"}, "1919"),
        ({"state": "co"}, "1303"),
        ({"rate_center": "Cary"}, "1919"),
        ({"lata": "674", "country_code": "1"}, "1206"),
        ({"state": "ON", "npa": "416"}, "1416"),
    ],
)
def test_numbers_fit_their_criteria(swift: SwiftClient, filters: dict[str, str], prefix: str) -> None:
    (number,) = swift.bought(**filters)

    assert number.startswith(prefix)


def test_exchange_is_a_criterion(swift: SwiftClient) -> None:
    entries = swift.get("/inventory/coverage", number_type="tendlc", npa="919", **{"group_by[]": "nxx"})
    nxx = entries.json()["data"]["entries"][0]["value"]["nxx"]

    (number,) = swift.bought(nxx=nxx, npa="919")

    assert number[1:7] == f"919{nxx}"


def test_real_shortage_shows_only_in_the_count(swift: SwiftClient) -> None:
    order_id = swift.order(new_numbers(7, npa="207"))
    nothing = swift.order(new_numbers(1, npa="207"))
    abroad = swift.order(new_numbers(1, country_code="44"))

    assert (swift.status(order_id), len(swift.numbers())) == ("COMPLETED_WITH_ERRORS", 5)
    assert swift.reported(order_id)["outcome"] == "PARTIAL"
    assert swift.status(nothing) == swift.status(abroad) == "ERROR"
    failed = swift.data(f"/orders/{nothing}")
    assert failed["error_code"] == failed["status_history"][-1]["error_code"] == "UPSTREAM_ERROR"
    assert failed["completed_at"] is not None


@pytest.mark.parametrize(
    ("npa", "status", "count", "outcome"),
    [
        ("808", "COMPLETED_WITH_ERRORS", 2, "PARTIAL"),
        ("406", "ERROR", 0, "FAILED"),
        ("307", "COMPLETED", 4, "COMPLETED"),
        ("701", "COMPLETED", 4, "COMPLETED"),
        ("605", "COMPLETED", 4, "COMPLETED"),
        ("208", "COMPLETED", 2, "PARTIAL"),
        ("802", "COMPLETED_WITH_ERRORS", 4, "COMPLETED"),
    ],
)
def test_magic_area_codes(swift: SwiftClient, npa: str, status: str, count: int, outcome: str) -> None:
    order_id = swift.order(new_numbers(4, npa=npa))

    assert (swift.status(order_id), len(swift.numbers())) == (status, count)
    reported = swift.reported(order_id)
    assert (reported["outcome"], len(reported["bought"])) == (outcome, count)


def test_magic_order_that_never_ends(swift: SwiftClient) -> None:
    order_id = swift.order(new_numbers(2, npa="907"))
    swift.control.advance(100_000)

    assert (swift.status(order_id), swift.numbers()) == ("PROCESSING", [])
    reported = swift.reported(order_id)
    assert (reported["outcome"], reported["bought"], len(reported["set_aside"])) == (None, [], 2)


def test_magic_unknown_status(swift: SwiftClient) -> None:
    swift.control.behave(strange_s=60, strange_word="NAPPING")
    order_id = swift.order(new_numbers(npa="605"))

    assert swift.status(order_id) == "NAPPING"
    assert swift.data(f"/orders/{order_id}")["completed_at"] is None
    swift.control.advance(61)
    assert swift.status(order_id) == "COMPLETED"


def test_magic_numbers_stay_pending_for_long_or_for_ever(swift: SwiftClient) -> None:
    swift.control.behave(swift_slow_usable_s=600)
    swift.order(new_numbers(npa="307"))
    swift.order(new_numbers(npa="701"))

    before = [did["sms_status"] for did in swift.dids()]
    swift.control.advance(601)
    after = {did["number"][1:4]: did["sms_status"] for did in swift.dids()}

    assert before == ["PENDING", "PENDING"]
    assert after == {"307": "AVAILABLE", "701": "PENDING"}


# -- removals -----------------------------------------------------------------------------------


def test_tainted_number_is_not_removed_and_the_violation_is_reported(swift: SwiftClient) -> None:
    number, other = swift.bought(2, npa="919")
    age(swift, TAINT_S - 100)
    order_id = swift.order(remove(number, other), reference="ref-1")

    order = swift.data(f"/orders/{order_id}")
    assert (order["status"], order["error_code"]) == ("ERROR", "REJECTED")
    assert order["status_history"][-1]["detail"] == f"numbers are tainted: {number}, {other}"
    assert len(swift.numbers()) == 2
    first, second = swift.control.report()["violations"]
    assert first == {
        "carrier": "swift",
        "at": swift.reported(order_id)["created_at"],
        "number": f"+{number}",
        "age_s": first["age_s"],
        "order": order_id,
        "account": OWN,
        "customer_order_id": "ref-1",
    }
    assert TAINT_S - 100 <= first["age_s"] < TAINT_S - 60
    assert second["number"] == f"+{other}"


def test_number_is_removed_after_its_taint_window(swift: SwiftClient) -> None:
    (number,) = swift.bought(npa="919")
    (did,) = swift.dids()
    age(swift)
    order_id = swift.order(remove(number))

    assert (swift.status(order_id), swift.numbers()) == ("COMPLETED", [])
    assert swift.get(f"/dids/{did['id']}").status_code == 404
    report = swift.control.report()
    assert report["violations"] == []
    assert report["orders"][-1]["removed"] == [f"+{number}"]


def test_window_ends_to_the_second(swift: SwiftClient) -> None:
    """Counted from the did's `inserted_at`, not from the checkout of its order."""
    swift.control.behave(swift_did_delay_s=1000)
    swift.order(new_numbers(npa="919"))
    age(swift, 1001)
    (number,) = swift.numbers()
    age(swift, TAINT_S - 60)

    early = swift.order(remove(number))
    age(swift, 60)
    late = swift.order(remove(number))

    assert (swift.status(early), swift.status(late)) == ("ERROR", "COMPLETED")
    assert len(swift.control.report()["violations"]) == 1


def test_clean_numbers_are_removed_if_the_behaviour_says_so(swift: SwiftClient) -> None:
    swift.control.behave(tainted_removal="with_errors")
    (old,) = swift.bought(npa="919")
    age(swift)
    (young,) = swift.bought(npa="919")
    order_id = swift.order(remove(old, young))

    assert swift.status(order_id) == "COMPLETED_WITH_ERRORS"
    assert swift.numbers() == [young]
    assert swift.reported(order_id)["failed"] == [f"+{young}"]
    assert [each["number"] for each in swift.control.report()["violations"]] == [f"+{young}"]


def test_checkout_is_refused_if_the_behaviour_says_so(swift: SwiftClient) -> None:
    swift.control.behave(tainted_removal="refused")
    (number,) = swift.bought(npa="919")
    cart_id = swift.open_cart("ref-1")
    swift.request(cart_id, remove(number))

    refused = swift.check_out(cart_id)
    age(swift)
    accepted = swift.check_out(cart_id)

    assert refused.status_code == 422
    assert refused.json() == {"errors": {"detail": f"numbers are tainted: {number}"}}
    assert accepted.status_code == 200
    assert [each["order"] for each in swift.control.report()["violations"]] == [cart_id]


def test_window_can_be_short(swift: SwiftClient) -> None:
    swift.control.behave(taint_s=60)
    (number,) = swift.bought(npa="919")
    early = swift.order(remove(number))
    swift.control.advance(61)

    assert swift.status(swift.order(remove(number))) == "COMPLETED"
    assert swift.status(early) == "ERROR"


def test_added_numbers_are_tainted_too(swift: SwiftClient) -> None:
    swift.order(add("17055551234"))

    assert swift.status(swift.order(remove("17055551234"))) == "ERROR"
    assert len(swift.control.report()["violations"]) == 1


def test_number_that_is_not_held_cannot_be_removed(swift: SwiftClient) -> None:
    (mine,) = swift.bought(npa="919")
    (theirs,) = swift.bought(npa="919", account=SUB)
    age(swift)

    stranger = swift.order(remove("17055551234"))
    neighbour = swift.order(remove(theirs))
    mixed = swift.order(remove(mine, "17055551234"))

    assert [swift.status(order_id) for order_id in (stranger, neighbour)] == ["ERROR", "ERROR"]
    assert swift.data(f"/orders/{stranger}")["error_code"] == "HOST_DID_NOT_FOUND"
    assert swift.status(mixed) == "COMPLETED_WITH_ERRORS"
    assert swift.numbers() == [theirs]
    assert swift.control.report()["violations"] == []


def test_number_is_removed_once_however_often_it_is_ordered(swift: SwiftClient) -> None:
    (number,) = swift.bought(npa="919")
    age(swift)
    swift.control.behave(processing_s=60)
    orders = [swift.order(remove(number)) for _ in range(2)]
    swift.control.advance(61)

    assert [swift.status(order_id) for order_id in orders] == ["COMPLETED", "ERROR"]
    assert [swift.reported(order_id)["removed"] for order_id in orders] == [[f"+{number}"], []]
    assert swift.numbers() == []


def test_removal_before_the_purchase_has_finished_finds_nothing(swift: SwiftClient) -> None:
    (number,) = swift.bought(npa="919")
    swift.control.reset()
    swift.control.behave(processing_s=60)
    bought = swift.order(new_numbers(npa="919"))
    early = swift.order(remove(number))  # the stock is the same, so the order buys this number
    swift.control.advance(61)

    assert swift.numbers() == [number]
    assert (swift.status(bought), swift.status(early)) == ("COMPLETED", "ERROR")
    assert swift.control.report()["violations"] == []


def test_removed_number_is_not_sold_again_but_can_be_added(swift: SwiftClient) -> None:
    numbers = swift.bought(5, npa="207")
    age(swift)
    swift.order(remove(*numbers))

    assert swift.status(swift.order(new_numbers(npa="207"))) == "ERROR"
    assert swift.status(swift.order(add(numbers[0]))) == "COMPLETED"
    assert swift.status(swift.order(add(numbers[0]))) == "ERROR"
    assert swift.numbers() == [numbers[0]]


@pytest.mark.parametrize(
    ("npa", "status", "left"),
    [("902", "COMPLETED_WITH_ERRORS", 2), ("506", "ERROR", 4), ("867", "PROCESSING", 4), ("709", "COMPLETED", 4)],
)
def test_magic_removals(swift: SwiftClient, npa: str, status: str, left: int) -> None:
    numbers = swift.bought(4, npa=npa)
    age(swift)
    order_id = swift.order(remove(*numbers))

    assert (swift.status(order_id), len(swift.numbers())) == (status, left)
    assert len(swift.reported(order_id)["removed"]) == 4 - left


@pytest.mark.parametrize(
    ("line", "status", "count"),
    [
        ("9901", "COMPLETED_WITH_ERRORS", 1),
        ("9902", "ERROR", 0),
        ("9905", "PROCESSING", 0),
        ("9906", "COMPLETED", 2),
        ("9907", "COMPLETED", 1),
        ("9908", "COMPLETED_WITH_ERRORS", 2),
    ],
)
def test_magic_added_numbers(swift: SwiftClient, line: str, status: str, count: int) -> None:
    order_id = swift.order(add("17055551234", f"1705555{line}"))

    assert (swift.status(order_id), len(swift.numbers())) == (status, count)


def test_concurrent_clients_get_and_remove_every_number_once(swift: SwiftClient) -> None:
    """Concurrent carts buy the same few numbers, and then remove all of them, each number twice."""
    everything = swift.get("/inventory/coverage", number_type="tendlc", npa="213").json()["data"]["quantity"]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: swift.order(new_numbers(7, npa="213")), range(everything // 7 + 3)))
        bought = [number for order in swift.control.report()["orders"] for number in order["bought"]]
        age(swift)
        list(pool.map(lambda number: swift.order(remove(number.removeprefix("+"))), bought[:20] * 2))

    assert len(bought) == len(set(bought)) == everything
    report = swift.control.report()
    removed = [number for order in report["orders"] for number in order["removed"]]
    assert sorted(removed) == sorted(bought[:20])
    assert report["totals"]["stock"]["swift"]["dids"] == everything - 20
    assert (report["violations"], report["duplicates"]["numbers"]) == ([], {})


def test_report_since_a_moment(swift: SwiftClient) -> None:
    (number,) = swift.bought(npa="919")
    swift.order(remove(number))
    then = datetime.fromtimestamp(time.time(), UTC)

    report = swift.control.report(since=then)

    assert (report["orders"], report["violations"]) == ([], [])


def test_half_of_the_numbers_may_be_listed_late(swift: SwiftClient) -> None:
    swift.control.behave(swift_late_s=40)
    order_id = swift.order(new_numbers(5, npa="204"))

    assert (swift.status(order_id), len(swift.numbers())) == ("COMPLETED", 2)
    swift.control.advance(41)
    dids = swift.dids(limit=100)
    assert len(dids) == 5
    ended_at = moment(swift.data(f"/orders/{order_id}")["completed_at"])
    assert all(timedelta() <= moment(did["inserted_at"]) - ended_at < timedelta(seconds=1) for did in dids)


def test_an_order_may_end_as_an_error_and_have_bought(swift: SwiftClient) -> None:
    order_id = swift.order(new_numbers(2, npa="306"))

    assert (swift.status(order_id), swift.numbers()) == ("ERROR", [])
    swift.control.advance(31)
    assert (swift.status(order_id), len(swift.numbers())) == ("ERROR", 2)
    assert swift.reported(order_id)["outcome"] == "COMPLETED"


def test_every_number_may_be_listed_at_its_own_time(swift: SwiftClient) -> None:
    swift.control.behave(swift_did_lag_s=[0, 100])
    swift.order(new_numbers(8, npa="919"))

    counts = []
    for _ in range(11):
        counts.append(len(swift.numbers()))
        swift.control.advance(10)
    assert counts == sorted(counts)
    assert (counts[0] < 8, counts[-1]) == (True, 8)
    assert len(set(counts)) > 3


def test_status_flips_and_an_end_is_taken_back(swift: SwiftClient) -> None:
    swift.control.behave(flips=3, flip_s=100, processing_s=100)
    stories = []
    for number in range(12):
        order_id, story = swift.order(new_numbers(npa="919"), reference=f"ref-{number}"), []
        for _ in range(12):
            story.append(swift.status(order_id))
            swift.control.advance(50)
        stories.append(story)

    assert all(story[-1] == "COMPLETED" for story in stories)
    assert any("ERROR" in story for story in stories)
    assert any(story.index("PROCESSING") < len(story) - 1 - story[::-1].index("NEW") for story in stories)
    assert len(swift.numbers()) == 12


def test_a_removed_number_may_stay_in_the_list(swift: SwiftClient) -> None:
    (old,) = swift.bought(npa="919")
    age(swift)
    swift.control.behave(swift_removal_lag_s=30)
    order_id = swift.order(remove(old))

    assert (swift.status(order_id), swift.numbers()) == ("COMPLETED", [old])
    again = swift.order(remove(old))
    assert swift.status(again) == "ERROR"  # the list shows it, and it is gone
    swift.control.advance(31)
    assert swift.numbers() == []


SHAPES = {
    "flat": {"errors": {"quantity": ["Field required"]}},
    "enveloped": {"data": {"detail": "Unprocessable Entity", "errors": ["quantity Field required"]}, "type": "error"},
    "nested": {"data": {"error": {"errors": {"quantity": ["Field required"]}}}, "type": "error"},
    "list": [{"detail": "quantity Field required"}],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_have_the_shape_that_is_asked_for(swift: SwiftClient, shape: str) -> None:
    swift.control.behave(swift_errors=shape)
    answer = swift.request(swift.open_cart(), {"type": "NEW_NUMBERS", "data": {"number_type": "tendlc"}})
    assert (answer.status_code, answer.json()) == (422, SHAPES[shape])


def test_errors_may_be_plain_text(swift: SwiftClient) -> None:
    swift.control.behave(swift_errors="text")
    answer = swift.check_out(swift.open_cart())
    assert (answer.status_code, answer.text) == (422, "cart has no requests")
    assert answer.headers["content-type"].startswith("text/plain")
