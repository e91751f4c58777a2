"""Reading orders: every shape the pages show, by behaviour."""

import re
from datetime import UTC, datetime

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, area_xml, named_xml, order_xml, texts

NUMBER = "+19195550100"


def test_pending_order_is_received_and_counts_what_is_pending(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(processing_s=60)
    answer = bandwidth.read(bandwidth.place(area_xml("919", 3)))

    assert answer.findtext("OrderStatus") == "RECEIVED"
    assert answer.findtext("PendingQuantity") == "3"
    assert (answer.findtext("CompletedQuantity"), answer.findtext("FailedQuantity")) == ("0", "0")
    assert answer.find("ErrorList") is None
    assert answer.find("OrderCompleteDate") is None


def test_pending_order_may_carry_5019(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(processing_s=60, pending_error=True)

    assert texts(bandwidth.read(bandwidth.place(area_xml("919"))), "ErrorList/Error/Code") == ["5019"]


def test_order_ends_by_itself_after_its_processing_time(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(processing_s=60)
    order_id = bandwidth.place(area_xml("919"))
    assert bandwidth.reported(order_id)["status"] == "RECEIVED"

    bandwidth.control.advance(61)

    report = bandwidth.reported(order_id)
    created, ended = (datetime.fromisoformat(report[at]) for at in ("created_at", "ended_at"))
    assert (ended - created).total_seconds() == pytest.approx(60, abs=1e-6)
    assert created.tzinfo == UTC


def test_completed_order_as_the_page_shows_it(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.read(bandwidth.place(named_xml(NUMBER), CustomerOrderId="ref-1", Name="n"))

    assert answer.findtext("OrderStatus") == "COMPLETED"
    assert texts(answer, "CompletedNumbers/FullNumber") == [NUMBER]
    assert answer.findtext("Order/PeerId") == "500017"
    assert answer.findtext("Order/CustomerOrderId") == "ref-1"
    assert answer.find("Order/id") is None
    assert answer.find("ErrorList") is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.findtext("OrderCompleteDate", ""))


def test_completed_order_as_captured(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(completed_word="COMPLETE", completed_shape="wrapped", id_in_reads=True)
    order_id = bandwidth.place(named_xml(NUMBER))
    answer = bandwidth.read(order_id)

    assert answer.findtext("OrderStatus") == "COMPLETE"
    assert texts(answer, "CompletedNumbers/TelephoneNumber/FullNumber") == [NUMBER]
    assert answer.findtext("Order/id") == order_id


def test_mixed_dialects_both_occur(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(completed_word="mixed", completed_shape="mixed")
    answers = [bandwidth.read(bandwidth.place(area_xml("919"), CustomerOrderId=f"m{n}")) for n in range(16)]

    assert {answer.findtext("OrderStatus") for answer in answers} == {"COMPLETE", "COMPLETED"}
    assert {bool(texts(a, "CompletedNumbers/FullNumber")) for a in answers} == {True, False}


def test_details_on_request(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.read(bandwidth.place(area_xml("303")), "?tndetail=true")

    assert texts(answer, "CompletedNumbers/TelephoneNumber/LATA") == ["656"]


def test_failed_order_may_lose_its_request(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(failed_loses_request=True)
    answer = bandwidth.read(bandwidth.place(named_xml("+19197519902")))

    assert answer.findtext("OrderStatus") == "FAILED"
    assert answer.find("Order/ExistingTelephoneNumberOrderType") is not None
    assert texts(answer, "Order//TelephoneNumber") == []


def test_unknown_order_is_404(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.get(f"{ACCOUNT}/orders/none")

    assert answer.status_code == 404
    assert fromstring(answer.content).findtext("ResponseStatus/ErrorCode") == "5061"


def test_numbers_of_an_order(bandwidth: BandwidthClient) -> None:
    order_id = bandwidth.place(area_xml("919", 2))
    root = fromstring(bandwidth.http.get(f"{ACCOUNT}/orders/{order_id}/tns").content)

    assert root.findtext("Count") == "2"
    assert texts(root, "TelephoneNumber") == bandwidth.reported(order_id)["bought"]


def test_special_characters_are_escaped(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.post(order_xml(area_xml("919"), Name="&lt;b&gt; &amp; ü"))
    order_id = fromstring(answer.content).findtext("Order/id") or ""

    assert bandwidth.read(order_id).findtext("Order/Name") == "<b> & ü"
