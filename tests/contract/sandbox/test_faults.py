"""Faults: what the client sees, and whether the order was made."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import httpx
import pytest

from number_orders.sandbox.faults import FaultKind
from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, area_xml, order_xml
from tests.contract.sandbox.turns import await_fault
from tests.processes import eventually

ORDER = order_xml(area_xml("919"), CustomerOrderId="ref-1")
ON_POST = {"method": "POST", "path": "/orders"}


def orders_made(client: BandwidthClient) -> int:
    return len(client.control.report()["orders"])


@contextmanager
def order_sent(client: BandwidthClient) -> Iterator[socket.socket]:
    """Send an order over a bare socket."""
    url = httpx.URL(client.control.url)
    head = (
        f"POST {ACCOUNT}/orders HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: Bearer sandbox-token\r\n"
        f"Content-Length: {len(ORDER)}\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=60) as plug:
        plug.sendall((head + ORDER).encode())
        yield plug


def raw_exchange(client: BandwidthClient) -> bytes:
    """Send an order over a bare socket and return all bytes until the connection closes."""
    with order_sent(client) as plug:
        received = b""
        while chunk := plug.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_dropped_connection_closes_without_a_byte(bandwidth: BandwidthClient, kind: str, made: int) -> None:
    bandwidth.control.fault(kind, **ON_POST)

    assert raw_exchange(bandwidth) == b""
    assert orders_made(bandwidth) == made


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_client_library_sees_a_disconnect(bandwidth: BandwidthClient, kind: str, made: int) -> None:
    bandwidth.control.fault(kind, times=1, **ON_POST)

    with pytest.raises(httpx.RemoteProtocolError):
        bandwidth.post(ORDER)

    assert orders_made(bandwidth) == made
    assert bandwidth.post(ORDER).status_code == 201


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_a_request_can_name_its_own_fault(bandwidth: BandwidthClient, kind: str, made: int) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        bandwidth.http.post(f"{ACCOUNT}/orders", content=ORDER, headers={"Sandbox-Fault": kind})

    assert orders_made(bandwidth) == made
    assert bandwidth.post(ORDER).status_code == 201


def test_an_unknown_fault_in_the_header_is_ignored(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.post(f"{ACCOUNT}/orders", content=ORDER, headers={"Sandbox-Fault": "starlight"})
    assert answer.status_code == 201


@pytest.mark.parametrize(("kind", "made"), [("error_before", 0), ("error_after", 1)])
def test_server_error_has_its_status_and_no_body(bandwidth: BandwidthClient, kind: str, made: int) -> None:
    bandwidth.control.fault(kind, status=504, **ON_POST)
    answer = bandwidth.post(ORDER)

    assert (answer.status_code, answer.content) == (504, b"")
    assert orders_made(bandwidth) == made


@pytest.mark.parametrize(("kind", "made"), [("hang_before", 0), ("hang_after", 1)])
def test_hanging_request_is_given_up_by_the_client(bandwidth: BandwidthClient, kind: str, made: int) -> None:
    bandwidth.control.fault(kind, **ON_POST)

    with pytest.raises(httpx.ReadTimeout):
        bandwidth.http.post(f"{ACCOUNT}/orders", content=ORDER, timeout=httpx.Timeout(60, read=0.2))

    await_fault(bandwidth.control)
    assert orders_made(bandwidth) == made


def test_hanging_request_ends_without_an_answer_after_its_time(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("hang_before", delay_s=0.1, **ON_POST)
    began = time.monotonic()

    assert raw_exchange(bandwidth) == b""
    assert time.monotonic() - began >= 0.1


def test_slow_answer_is_right_but_late(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("slow", delay_s=0.2, **ON_POST)
    began = time.monotonic()

    assert bandwidth.post(ORDER).status_code == 201
    assert time.monotonic() - began >= 0.2


def test_slow_order_is_made_although_its_client_disconnected(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("slow", delay_s=0.8, **ON_POST)

    with order_sent(bandwidth):
        await_fault(bandwidth.control)

    for _ in eventually(every_s=0.02):
        if orders_made(bandwidth):
            break
    report = bandwidth.control.report()
    (order,), (request,) = report["orders"], report["http"]["ref-1"]
    late = datetime.fromisoformat(order["created_at"]) - datetime.fromisoformat(request["at"])
    assert late >= timedelta(seconds=0.8)


@pytest.mark.parametrize("processed", [True, False])
@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("garbage", 200, b"<?xml version="),
        ("html", 502, b"<html>"),
        ("empty", 200, b""),
        ("timeout_400", 400, b"API request timed out. Please resubmit your request."),
        ("code_5086", 400, b"<Code>5086</Code>"),
    ],
)
def test_unreadable_or_ambiguous_answer(
    bandwidth: BandwidthClient, kind: str, status: int, says: bytes, processed: bool
) -> None:
    bandwidth.control.fault(kind, processed=processed, **ON_POST)
    answer = bandwidth.post(ORDER)

    assert answer.status_code == status
    assert says in answer.content
    assert orders_made(bandwidth) == processed


def test_too_many_requests_as_documented(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("too_many_requests", delay_s=300, **ON_POST)
    answer = bandwidth.post(ORDER)

    assert (answer.status_code, answer.content) == (429, b"")
    assert answer.headers["connection"] == "close"
    assert 200 <= int(answer.headers["x-ratelimit-reset"]) - time.time() <= 302
    assert "retry-after" not in answer.headers
    assert orders_made(bandwidth) == 0


def test_every_kind_is_accepted_by_the_control_api(bandwidth: BandwidthClient) -> None:
    for kind in FaultKind:
        bandwidth.control.fault(kind.value, path="/nothing")

    assert [rule["fault"] for rule in bandwidth.control.faults()] == [kind.value for kind in FaultKind]


def test_rule_applies_the_given_number_of_times_and_counts(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("error_before", times=2, **ON_POST)

    statuses = [bandwidth.post(ORDER).status_code for _ in range(4)]

    assert statuses == [503, 503, 201, 201]
    rule = bandwidth.control.faults()[0]
    assert (rule["hits"], rule["seen"]) == (2, 2)


def test_rule_applies_with_its_probability_and_the_same_seed_repeats(bandwidth: BandwidthClient) -> None:
    runs = []
    for _ in range(2):
        bandwidth.control.clear_faults()
        bandwidth.control.fault("error_before", probability=0.5, seed=3, **ON_POST)
        runs.append([bandwidth.post(ORDER).status_code for _ in range(20)])

    assert runs[0] == runs[1]
    assert set(runs[0]) == {503, 201}


def test_rule_for_one_order_leaves_the_others_alone(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("error_after", customer_order_id="ref-1")
    other = bandwidth.post(order_xml(area_xml("919"), CustomerOrderId="ref-2"))

    assert other.status_code == 201
    assert bandwidth.post(ORDER).status_code == 503
    order_id = bandwidth.control.report()["orders"][1]["order_id"]
    assert bandwidth.http.get(f"{ACCOUNT}/orders/{order_id}").status_code == 503
    assert bandwidth.listing(customerOrderId="ref-1").status_code == 503
    assert bandwidth.listing(customerOrderId="ref-2").status_code == 200


def test_rule_by_method_and_path(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("error_before", method="GET", path="/orders/{orderId}*")
    order_id = bandwidth.place(area_xml("919"))

    assert bandwidth.http.get(f"{ACCOUNT}/orders/{order_id}").status_code == 503
    assert bandwidth.http.get(f"{ACCOUNT}/orders/{order_id}/tns").status_code == 503
    assert bandwidth.listing().status_code == 200


def test_cleared_faults_no_longer_apply(bandwidth: BandwidthClient) -> None:
    bandwidth.control.fault("drop_before")
    bandwidth.control.clear_faults()

    assert bandwidth.control.faults() == []
    assert bandwidth.post(ORDER).status_code == 201


@pytest.mark.parametrize("rule", [{"fault": "explode"}, {"fault": "slow", "delay": 1}, {"fault": "slow", "times": 0}])
def test_invalid_rule_is_refused(bandwidth: BandwidthClient, rule: dict[str, object]) -> None:
    answer = httpx.post(f"{bandwidth.control.url}/_sandbox/faults", json=rule, trust_env=False)

    assert answer.status_code == 422
    assert bandwidth.control.faults() == []
