"""The control API: limits, behaviour, report."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, area_xml, named_xml, order_xml
from tests.processes import eventually


def test_no_limits_unless_set(bandwidth: BandwidthClient) -> None:
    assert {bandwidth.listing().status_code for _ in range(30)} == {200}


@pytest.mark.parametrize("group", ["ORDER", "SEARCH", "HISTORY"])
def test_limit_of_one_group_leaves_the_others_alone(bandwidth: BandwidthClient, group: str) -> None:
    ask_by_group: dict[str, Callable[[], httpx.Response]] = {
        "ORDER": lambda: bandwidth.post(order_xml(area_xml("919"))),
        "SEARCH": lambda: bandwidth.search(areaCode="919", quantity=1),
        "HISTORY": bandwidth.listing,
    }
    bandwidth.control.behave(limits={group: 2})

    for name, ask in ask_by_group.items():
        refused = [ask().status_code == 429 for _ in range(4)]
        assert refused == [False, False, name == group, name == group]


def test_client_is_admitted_again_at_the_announced_time(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(limits={"HISTORY": 1}, limit_window_s=0.5)
    refused = bandwidth.listing()
    for _ in eventually(every_s=0):  # until two requests are within one window
        if refused.status_code == 429:
            break
        refused = bandwidth.listing()

    assert refused.content == b""
    assert refused.headers["connection"] == "close"
    assert refused.extensions["network_stream"].get_extra_info("is_readable")  # the connection was closed
    reset = int(refused.headers["x-ratelimit-reset"])
    time.sleep(max(0.0, reset - time.time()))
    assert bandwidth.listing().status_code == 200


def test_behaviour_is_changed_in_parts(bandwidth: BandwidthClient) -> None:
    before = bandwidth.control.behaviour()
    after = bandwidth.control.behave(latency_s={"search": 0.2}, completed_word="COMPLETE")

    assert after["latency_s"] == {**before["latency_s"], "search": [0.2, 0.2]}
    assert after["completed_word"] == "COMPLETE"
    assert {k for k in before if before[k] != after[k]} == {"latency_s", "completed_word"}
    began = time.monotonic()
    bandwidth.search(areaCode="919", quantity=1)
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    "change", [{"speed": 1}, {"completed_word": "DONE"}, {"processing_s": [2, 1]}, {"limits": {"ORDER": 0}}]
)
def test_invalid_behaviour_is_refused(bandwidth: BandwidthClient, change: dict[str, object]) -> None:
    before = bandwidth.control.behaviour()
    answer = httpx.patch(f"{bandwidth.control.url}/_sandbox/behaviour", json=change, trust_env=False)

    assert answer.status_code == 422
    assert answer.json()["reasons"][0]["field"]
    assert bandwidth.control.behaviour() == before


def test_control_refuses_a_body_that_is_not_a_json_object(bandwidth: BandwidthClient) -> None:
    for body in (b"[1]", b"{"):
        answer = httpx.post(f"{bandwidth.control.url}/_sandbox/faults", content=body, trust_env=False)
        assert answer.status_code == 400


def test_reset_starts_over(bandwidth: BandwidthClient) -> None:
    first = bandwidth.found(areaCode="919", quantity=1)
    bandwidth.place(area_xml("919"))
    bandwidth.control.fault("drop_before")
    bandwidth.control.behave(number_status="InAccount")

    bandwidth.control.reset()

    report = bandwidth.control.report()
    assert (report["orders"], report["http"], report["requests"]["total"]) == ([], {}, 0)
    assert bandwidth.control.faults() == []
    assert bandwidth.control.behaviour()["number_status"] == "Inservice"
    assert bandwidth.found(areaCode="919", quantity=1) == first


def test_health(bandwidth: BandwidthClient) -> None:
    assert bandwidth.control.health() == {"ok": True, "carriers": ["bandwidth", "swift", "cm"]}


def test_report_describes_each_order(bandwidth: BandwidthClient) -> None:
    order_id = bandwidth.place(named_xml("+19197510001", "+19197519902"), CustomerOrderId="ref-1")
    order = bandwidth.reported(order_id)

    assert order == {
        "carrier": "bandwidth",
        "order_id": order_id,
        "customer_order_id": "ref-1",
        "kind": "ExistingTelephoneNumberOrderType",
        "quantity": 2,
        "fate": "ordinary",
        "status": "PARTIAL",
        "outcome": "PARTIAL",
        "created_at": order["created_at"],
        "listed_at": order["created_at"],
        "ended_at": order["created_at"],
        "lists_complete_at": order["created_at"],
        "bought": ["+19197510001"],
        "withdrawn": [],
        "failed": ["+19197519902"],
        "set_aside": [],
    }
    assert order["created_at"].endswith("Z")
    assert len(order["created_at"]) == len("2024-09-05T23:34:31.553000Z")


def test_report_totals_match_the_orders(bandwidth: BandwidthClient) -> None:
    stock = bandwidth.control.report()["totals"]["stock"]["bandwidth"]["free"]
    for area_code, quantity in (("919", 3), ("808", 4), ("406", 2), ("907", 1)):
        bandwidth.place(area_xml(area_code, quantity))

    totals = bandwidth.control.report()["totals"]

    assert totals["by_outcome"] == {"COMPLETED": 1, "FAILED": 1, "OPEN": 1, "PARTIAL": 1}
    assert totals["by_status"] == {"COMPLETE": 1, "FAILED": 1, "PARTIAL": 1, "RECEIVED": 1}
    assert (totals["orders"], totals["open"], totals["numbers_bought"]) == (4, 1, 5)
    assert stock - totals["stock"]["bandwidth"]["free"] == 6  # the open order's number is set aside


def test_report_since_a_moment(bandwidth: BandwidthClient) -> None:
    bandwidth.place(area_xml("919"), CustomerOrderId="early")
    moment = datetime.fromtimestamp(time.time(), UTC)
    late = bandwidth.place(area_xml("919"), CustomerOrderId="late")

    report = bandwidth.control.report(since=moment)

    assert [order["order_id"] for order in report["orders"]] == [late]
    assert list(report["http"]) == ["late"]
    for nonsense in ("yesterday", "2024-01-01T00:00:00"):
        answer = httpx.get(f"{bandwidth.control.url}/_sandbox/report?since={nonsense}", trust_env=False)
        assert answer.status_code == 400


def test_report_counts_requests_and_the_busiest_second(bandwidth: BandwidthClient) -> None:
    order_id = bandwidth.place(area_xml("919"))
    for _ in range(30):
        bandwidth.read(order_id)
    bandwidth.http.get("/api/v2/nowhere")

    requests = bandwidth.control.report()["requests"]

    counts = {route: pace["total"] for route, pace in requests["by_route"].items()}
    assert counts == {"POST /orders": 1, "GET /orders/{orderId}": 30, "GET (unknown)": 1}
    assert requests["total"] == 32
    assert 2 <= requests["peak_per_second"] <= 32
    assert requests["by_status"] == {"200": 30, "201": 1, "404": 1}


def test_report_keeps_the_last_requests_of_each_order(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(http_log_per_order=2)
    bandwidth.control.fault("error_after", method="POST", times=1)
    bandwidth.post(order_xml(area_xml("919"), CustomerOrderId="ref-1"))
    first = bandwidth.control.report()["http"]["ref-1"]
    bandwidth.listing(customerOrderId="ref-1")
    order_id = bandwidth.place(area_xml("919"), CustomerOrderId="ref-2")
    for _ in range(3):
        bandwidth.read(order_id)

    log = bandwidth.control.report()["http"]

    assert [(e["method"], e["status"], e["fault"]) for e in first] == [("POST", 503, "error_after")]
    assert [(e["method"], e["path"]) for e in log["ref-1"]] == [
        ("POST", f"{ACCOUNT}/orders"),
        ("GET", f"{ACCOUNT}/orders"),
    ]
    assert [e["method"] for e in log["ref-2"]] == ["GET", "GET"]


def test_no_number_is_sold_twice_to_concurrent_clients(bandwidth: BandwidthClient) -> None:
    """Concurrent clients buy the same few numbers, by name and by search; every number has one buyer."""
    wanted = bandwidth.found(areaCode="213")
    orders = [named_xml(*wanted[n : n + 4]) for n in range(0, len(wanted), 4)] * 2
    orders += [area_xml("213", 7) for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bandwidth.place, orders))

    report = bandwidth.control.report()
    bought = [number for order in report["orders"] for number in order["bought"]]
    assert sorted(bought) == sorted(wanted)
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}
