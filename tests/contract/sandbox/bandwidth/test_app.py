"""Bandwidth's routes for numbers on the account, and for paths that do not exist."""

import re

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import BandwidthClient, named_xml, texts

NUMBER = "+19195550100"


@pytest.mark.parametrize("written", [NUMBER, "%2B19195550100", "9195550100"])
def test_bought_number_names_its_order(bandwidth: BandwidthClient, written: str) -> None:
    order_id = bandwidth.place(named_xml(NUMBER))
    root = fromstring(bandwidth.http.get(f"/api/v2/tns/{written}").content)

    assert root.tag == "TelephoneNumberResponse"
    assert root.findtext("OrderId") == order_id
    assert root.findtext("Status") == "Inservice"
    assert root.findtext("OrderType") == "NEW_NUMBER_ORDER"
    assert root.findtext("AccountId") == "9900000"


def test_number_may_be_in_the_account_without_service(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(number_status="InAccount")
    bandwidth.place(named_xml(NUMBER))

    assert "<Status>InAccount<" in bandwidth.http.get(f"/api/v2/tns/{NUMBER}").text


def test_number_not_bought_is_not_on_the_account(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(processing_s=60)
    bandwidth.place(named_xml(NUMBER))

    answer = bandwidth.http.get(f"/api/v2/tns/{NUMBER}")

    assert answer.status_code == 404
    assert fromstring(answer.content).findtext("ResponseStatus/ErrorCode") == "15610"


def test_numbers_on_the_account_are_listed_in_pages(bandwidth: BandwidthClient) -> None:
    numbers = [f"+1919555010{n}" for n in range(3)]
    bandwidth.place(named_xml(*numbers))

    first = fromstring(bandwidth.http.get("/api/v2/tns?page=1&size=2&accountId=9900000").content)
    page = re.search(r"page=([^&]+)&", first.findtext("Links/next", ""))

    assert first.findtext("TelephoneNumberCount") == "3"
    assert texts(first, "TelephoneNumbers/TelephoneNumber/FullNumber") == numbers[:2]
    assert page is not None
    rest = bandwidth.http.get("/api/v2/tns", params={"page": page[1], "size": 2})
    assert texts(fromstring(rest.content), "TelephoneNumbers/TelephoneNumber/FullNumber") == numbers[2:]
    assert bandwidth.http.get("/api/v2/tns?size=2501").status_code == 400
    assert "<TelephoneNumberCount>0<" in bandwidth.http.get("/api/v2/tns?status=Aging").text


def test_unknown_path_is_404_without_a_body(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.get("/api/v2/somewhere")

    assert (answer.status_code, answer.content) == (404, b"")
