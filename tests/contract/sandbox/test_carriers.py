"""What the sandbox carriers share (clock, faults, report), and what each has to itself."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.contract.sandbox.bandwidth.client import BandwidthClient, area_xml
from tests.contract.sandbox.cm.client import CmClient
from tests.contract.sandbox.swift.client import SwiftClient, new_numbers, remove

Carriers = tuple[BandwidthClient, SwiftClient, CmClient]


@pytest.fixture
def carriers(bandwidth_client: BandwidthClient, swift: SwiftClient, cm: CmClient) -> Carriers:
    return bandwidth_client, swift, cm


def test_one_report_covers_all_carriers(carriers: Carriers) -> None:
    bandwidth, swift, cm = carriers
    bandwidth.place(area_xml("919", 2), CustomerOrderId="ref-1")
    swift.order(new_numbers(2, npa="919"), reference="ref-1")
    cm.place(areaCode="020", quantity=2, comment="ref=ref-1")

    report = bandwidth.control.report()

    assert [order["carrier"] for order in report["orders"]] == ["bandwidth", "swift", "cm"]
    assert report["totals"]["numbers_bought"] == 6
    assert report["totals"]["by_outcome"] == {"COMPLETED": 3}
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}  # one order a carrier is no duplicate
    assert {entry["method"] for entry in report["http"]["ref-1"]} == {"POST"}
    assert (report["violations"], report["callbacks"]) == ([], [])
    fields = [set(order) for order in report["orders"]]
    assert fields[0] <= fields[1] & fields[2]


def test_requests_are_counted_by_carrier(carriers: Carriers) -> None:
    bandwidth, swift, cm = carriers
    bandwidth.listing()
    swift.get("/orders")
    swift.get("/orders", account="01K3S620PA5JPWPR10F0000001")
    cm.get("/numberRequests")

    counted = bandwidth.control.report()["requests"]

    totals = {
        carrier: {route: pace["total"] for route, pace in routes.items()}
        for carrier, routes in counted["by_carrier"].items()
    }
    assert totals == {
        "bandwidth": {"GET /orders": 1},
        "swift": {"GET /orders": 2},
        "cm": {"GET /numberRequests": 1},
    }
    assert counted["by_route"]["GET /orders"]["total"] == 3


@pytest.mark.parametrize("faulted", ["bandwidth", "swift", "cm"])
def test_fault_at_one_carrier_leaves_the_others_alone(carriers: Carriers, faulted: str) -> None:
    bandwidth, swift, cm = carriers
    bandwidth.control.fault("error_before", carrier=faulted)

    answers = {
        "bandwidth": bandwidth.listing(),
        "swift": swift.get("/orders"),
        "cm": cm.get("/numberRequests"),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        name: 503 if name == faulted else 200 for name in answers
    }


def test_fault_by_reference_and_path_at_any_carrier(carriers: Carriers) -> None:
    _, swift, cm = carriers
    swift.control.fault("error_after", customer_order_id="ref-1", path="*", method="POST")

    opened = swift.http.post("/api/v1/carts", json={"type": "cart", "data": {"name": "n", "reference_id": "ref-1"}})
    assert opened.status_code == 503
    (cart,) = swift.data("/carts")["items"]
    assert swift.request(cart["data"]["id"], new_numbers()).status_code == 503
    assert swift.check_out(cart["data"]["id"]).status_code == 503
    assert swift.status(cart["data"]["id"]) == "COMPLETED"
    assert cm.post(comment="ref=ref-1").status_code == 503
    assert cm.post(comment="ref=ref-2").status_code == 200
    assert len(cm.get("/numberRequests").json()) == 2


@pytest.mark.parametrize("kind", ["timeout_400", "code_5086"])
def test_faults_of_one_carrier_apply_only_there(carriers: Carriers, kind: str) -> None:
    bandwidth, swift, cm = carriers
    bandwidth.control.fault(kind)

    assert (swift.get("/orders").status_code, cm.get("/numberRequests").status_code) == (200, 200)
    assert bandwidth.listing().status_code == 400


def test_answer_429_says_when_to_come_back(carriers: Carriers) -> None:
    _, swift, cm = carriers
    swift.control.fault("too_many_requests", delay_s=7)

    for answer in (swift.get("/orders"), cm.get("/numberRequests")):
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_garbage_has_the_carriers_content_type(carriers: Carriers) -> None:
    bandwidth, swift, cm = carriers
    bandwidth.control.fault("garbage")

    assert bandwidth.listing().content.startswith(b"<?xml")
    for answer in (swift.get("/orders"), cm.get("/numberRequests")):
        assert answer.content.startswith(b'{"data":')
        with pytest.raises(ValueError, match=r"."):
            answer.json()


# -- the clock ----------------------------------------------------------------------------------


def test_clock_moves_all_carriers_at_once(carriers: Carriers) -> None:
    bandwidth, swift, cm = carriers
    bandwidth.control.behave(processing_s=600, cm_review_s=600)
    order_id, cart_id, guid = bandwidth.place(area_xml("919")), swift.order(new_numbers()), cm.place()
    before = bandwidth.status(order_id), swift.status(cart_id), cm.status(guid)

    moved = bandwidth.control.advance(601)

    assert before == ("RECEIVED", "NEW", "NEW")
    assert (bandwidth.status(order_id), swift.status(cart_id), cm.status(guid)) == ("COMPLETED",) * 3
    assert moved["ahead_s"] == 601
    ahead = datetime.fromisoformat(moved["at"]) - datetime.fromtimestamp(time.time(), UTC)
    assert timedelta(seconds=500) < ahead <= timedelta(seconds=601)


def test_clock_advances_add_up_until_a_reset(carriers: Carriers) -> None:
    control = carriers[0].control
    control.advance(1)

    assert control.advance(0.5)["ahead_s"] == control.clock()["ahead_s"] == 1.5
    control.reset()
    assert control.clock()["ahead_s"] == 0


@pytest.mark.parametrize("body", [{}, {"advance_s": -1}, {"advance_s": "soon"}, {"advance_s": 1, "back": True}])
def test_clock_does_not_go_back(carriers: Carriers, body: dict[str, object]) -> None:
    answer = httpx.post(f"{carriers[0].control.url}/_sandbox/clock", json=body, trust_env=False)

    assert answer.status_code == 422
    assert carriers[0].control.clock()["ahead_s"] == 0


def test_rate_limits_use_the_machines_clock(carriers: Carriers) -> None:
    bandwidth = carriers[0]
    bandwidth.control.behave(limits={"HISTORY": 1})
    bandwidth.control.advance(100_000)
    bandwidth.listing()

    reset = int(bandwidth.listing().headers["x-ratelimit-reset"])

    assert 0 < reset - time.time() <= 61


def test_taint_window_lasts_half_an_hour(carriers: Carriers) -> None:
    """The taint window, before and after its end; the sandbox's clock goes on between two requests."""
    _, swift, _ = carriers
    (number,) = swift.bought(npa="919")
    swift.control.advance(1700)
    early = swift.order(remove(number))
    swift.control.advance(100)
    late = swift.order(remove(number))

    assert (swift.status(early), swift.status(late)) == ("ERROR", "COMPLETED")
    (violation,) = swift.control.report()["violations"]
    assert violation["order"] == early
    assert 1700 <= violation["age_s"] < 1800
