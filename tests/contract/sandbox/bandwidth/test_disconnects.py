"""Disconnects: numbers of this account are released, age, and are sold again; any other fails by itself."""

from pathlib import Path
from xml.etree.ElementTree import Element

import httpx
import pytest
from defusedxml.ElementTree import fromstring

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.server import running_sandbox
from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, codes, named_xml, texts
from tests.contract.sandbox.presets import AT_ONCE, SMALL

A, B = "+19192340100", "+19192340101"


def disconnect_xml(*numbers: str, labels: str = "", more: str = "") -> str:
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
    return (
        f"<DisconnectTelephoneNumberOrder>{labels}<DisconnectTelephoneNumberOrderType>"
        f"<TelephoneNumberList>{listed}</TelephoneNumberList>{more}"
        "</DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
    )


def post(client: BandwidthClient, body: str) -> httpx.Response:
    return client.http.post(f"{ACCOUNT}/disconnects", content=body)


def disconnected(client: BandwidthClient, *numbers: str, labels: str = "") -> Element:
    """Disconnect numbers and return the answer to the read that follows; here the disconnect has ended by then."""
    answer = post(client, disconnect_xml(*numbers, labels=labels))
    assert answer.status_code == 201, answer.text
    root = fromstring(answer.content)
    assert root.findtext("OrderStatus") == "RECEIVED"
    order_id = root.findtext("orderRequest/id") or ""
    assert answer.headers["location"].endswith(f"/disconnects/{order_id}")
    read = client.http.get(f"{ACCOUNT}/disconnects/{order_id}")
    assert read.status_code == 200
    return fromstring(read.content)


def test_a_bought_number_is_disconnected(bandwidth: BandwidthClient) -> None:
    bandwidth.place(named_xml(A, B))

    root = disconnected(bandwidth, A, B, labels="<CustomerOrderId>rel-1</CustomerOrderId>")

    assert root.findtext("OrderStatus") == "COMPLETE"
    assert sorted(texts(root, "DisconnectedTelephoneNumberList/TelephoneNumber")) == [A, B]
    assert root.findtext("orderRequest/CustomerOrderId") == "rel-1"
    shown = bandwidth.reported(root.findtext("orderRequest/id") or "")
    assert (shown["kind"], shown["outcome"], shown["released"], shown["bought"]) == (
        "disconnect",
        "COMPLETED",
        [A, B],
        [],
    )


def test_number_of_another_account_fails_by_itself(bandwidth: BandwidthClient) -> None:
    bandwidth.place(named_xml(A))

    partial, failed = disconnected(bandwidth, A, B), disconnected(bandwidth, A)

    assert [partial.findtext("OrderStatus"), failed.findtext("OrderStatus")] == ["PARTIAL", "FAILED"]
    assert texts(partial, "ErrorList/Error/TelephoneNumber") == [B]
    assert texts(failed, "ErrorList/Error/Code") == ["5006"]


def test_disconnect_ends_after_its_processing_time(bandwidth: BandwidthClient) -> None:
    bandwidth.place(named_xml(A))
    bandwidth.control.behave(processing_s=60)

    root = disconnected(bandwidth, A)

    assert root.findtext("OrderStatus") == "RECEIVED"
    assert root.find("DisconnectedTelephoneNumberList") is None
    again = post(bandwidth, disconnect_xml(A)).content
    assert fromstring(again).findtext("OrderStatus") == "RECEIVED"  # accepted, and fails later
    assert fromstring(bandwidth.http.get(f"/api/v2/tns/{A}").content).findtext("Status") == "Inservice"


def test_disconnected_number_ages_and_can_then_be_bought_again(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(aging_s=60)
    bandwidth.place(named_xml(A, B))
    disconnected(bandwidth, A)
    bandwidth.control.behave(aging_s=0)
    disconnected(bandwidth, B)

    shown = fromstring(bandwidth.http.get(f"/api/v2/tns/{A}").content)
    assert shown.findtext("Status") == "Aging"
    assert bandwidth.http.get(f"/api/v2/tns/{B}").status_code == 404
    assert texts(fromstring(bandwidth.http.get("/api/v2/tns").content), "TelephoneNumbers/TelephoneNumber") == []
    assert bandwidth.status(bandwidth.place(named_xml(A))) == "FAILED"
    assert bandwidth.status(bandwidth.place(named_xml(B))) == "COMPLETED"
    assert bandwidth.control.report()["duplicates"]["numbers"] == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (disconnect_xml(), "5001"),
        (disconnect_xml(A, A), "5093"),
        (disconnect_xml(A, labels="<CustomerOrderId>a_b</CustomerOrderId>"), "5052"),
        (disconnect_xml(A, more="<DisconnectMode>PURGE</DisconnectMode>"), "5085"),
        (disconnect_xml(A, more="<DisconnectMode>soon</DisconnectMode>"), "5084"),
        (disconnect_xml(A, more="<Protected>maybe</Protected>"), "5108"),
        ("<Order/>", "5002"),
        ("no XML", "5002"),
    ],
)
def test_invalid_disconnect_is_refused(bandwidth: BandwidthClient, body: str, code: str) -> None:
    answer = post(bandwidth, body)

    assert (answer.status_code, codes(answer)) == (400, [code])
    assert fromstring(answer.content).find("orderRequest/id") is None


def test_the_list_has_no_reference_and_an_empty_list_is_404(bandwidth: BandwidthClient) -> None:
    empty = bandwidth.http.get(f"{ACCOUNT}/disconnects")
    assert (empty.status_code, fromstring(empty.content).findtext(".//TotalCount")) == (404, "0")
    for number in (A, B):
        post(bandwidth, disconnect_xml(number, labels="<CustomerOrderId>rel-1</CustomerOrderId>"))

    page = fromstring(bandwidth.http.get(f"{ACCOUNT}/disconnects", params={"size": "1"}).content)

    assert page.findtext(".//TotalCount") == "2"
    (item,) = page.iter("OrderIdUserIdDate")
    assert item.find("CustomerOrderId") is None
    assert item.findtext("OrderType") == "disconnect"
    following = (page.findtext(".//Links/next") or "").split("page=")[1].split("&")[0]
    second = bandwidth.http.get(f"{ACCOUNT}/disconnects", params={"size": "1", "page": following})
    (other,) = fromstring(second.content).iter("OrderIdUserIdDate")
    assert other.findtext("OrderId") == following != item.findtext("OrderId")


def test_the_list_can_be_filtered_by_date(bandwidth: BandwidthClient) -> None:
    post(bandwidth, disconnect_xml(A))

    def count(**query: str) -> tuple[int, str | None]:
        answer = bandwidth.http.get(f"{ACCOUNT}/disconnects", params=query)
        return answer.status_code, fromstring(answer.content).findtext(".//TotalCount")

    assert count(startdate="20-01-01", enddate="79-12-31") == (200, "1")
    assert count(startdate="13-12-15", enddate="13-12-31") == (404, "0")
    assert count(startdate="2013-12-15", enddate="2013-12-31") == (400, None)


def test_unknown_disconnect_is_404_and_a_reader_gets_403(bandwidth: BandwidthClient) -> None:
    assert bandwidth.http.get(f"{ACCOUNT}/disconnects/none").status_code == 404
    reader = {"Authorization": "Bearer sandbox-reader-token"}
    denied = bandwidth.http.post(f"{ACCOUNT}/disconnects", content=disconnect_xml(A), headers=reader)
    assert denied.status_code == 403


def test_disconnects_are_restored(tmp_path: Path) -> None:
    memory, behaviour = tmp_path / "sandbox.jsonl", read_behaviour({**AT_ONCE, "aging_s": 0})
    reports = []
    with running_sandbox(behaviour=behaviour, stock=SMALL, memory=memory) as control:
        first = BandwidthClient(control)
        first.place(named_xml(A))
        disconnected(first, A, B)
        first.place(named_xml(A))
        reports.append(control.report()["orders"])
        first.http.close()
    with running_sandbox(behaviour=behaviour, stock=SMALL, memory=memory) as control:
        reports.append(control.report()["orders"])

    assert reports[0] == reports[1]
    assert [order["outcome"] for order in reports[1]] == ["COMPLETED", "COMPLETED", "PARTIAL"]
