"""Reading orders, lists of orders and numbers: every shape the pages show, by switch."""

import re
import time
from datetime import UTC, datetime

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.practice_client import ACCOUNT, PracticeClient, area_xml, named_xml, order_xml, texts

NUMBER = "+19195550100"
TOMORROW = "99-12-31"


def test_pending_order_is_received_and_counts_what_is_pending(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(processing_s=60)
    answer = bandwidth.read(bandwidth.place(area_xml("919", 3)))

    assert answer.findtext("OrderStatus") == "RECEIVED"
    assert answer.findtext("PendingQuantity") == "3"
    assert (answer.findtext("CompletedQuantity"), answer.findtext("FailedQuantity")) == ("0", "0")
    assert answer.find("ErrorList") is None
    assert answer.find("OrderCompleteDate") is None


def test_pending_order_may_carry_5019(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(processing_s=60, pending_error=True)

    assert texts(bandwidth.read(bandwidth.place(area_xml("919"))), "ErrorList/Error/Code") == ["5019"]


def test_order_ends_by_itself_after_its_processing_time(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(processing_s=60)
    order_id = bandwidth.place(area_xml("919"))
    assert bandwidth.reported(order_id)["status"] == "RECEIVED"

    bandwidth.control.advance(61)

    report = bandwidth.reported(order_id)
    created, ended = (datetime.fromisoformat(report[at]) for at in ("created_at", "ended_at"))
    assert (ended - created).total_seconds() == pytest.approx(60, abs=1e-6)
    assert created.tzinfo == UTC


def test_completed_order_as_the_page_shows_it(bandwidth: PracticeClient) -> None:
    answer = bandwidth.read(bandwidth.place(named_xml(NUMBER), CustomerOrderId="ref-1", Name="n"))

    assert answer.findtext("OrderStatus") == "COMPLETED"
    assert texts(answer, "CompletedNumbers/FullNumber") == [NUMBER]
    assert answer.findtext("Order/PeerId") == "500017"
    assert answer.findtext("Order/CustomerOrderId") == "ref-1"
    assert answer.find("Order/id") is None
    assert answer.find("ErrorList") is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.findtext("OrderCompleteDate", ""))


def test_completed_order_as_captured(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(completed_word="COMPLETE", completed_shape="wrapped", id_in_reads=True)
    order_id = bandwidth.place(named_xml(NUMBER))
    answer = bandwidth.read(order_id)

    assert answer.findtext("OrderStatus") == "COMPLETE"
    assert texts(answer, "CompletedNumbers/TelephoneNumber/FullNumber") == [NUMBER]
    assert answer.findtext("Order/id") == order_id


def test_mixed_dialects_are_both_spoken(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(completed_word="mixed", completed_shape="mixed")
    answers = [bandwidth.read(bandwidth.place(area_xml("919"), CustomerOrderId=f"m{n}")) for n in range(16)]

    assert {answer.findtext("OrderStatus") for answer in answers} == {"COMPLETE", "COMPLETED"}
    assert {bool(texts(a, "CompletedNumbers/FullNumber")) for a in answers} == {True, False}


def test_details_on_request(bandwidth: PracticeClient) -> None:
    answer = bandwidth.read(bandwidth.place(area_xml("303")), "?tndetail=true")

    assert texts(answer, "CompletedNumbers/TelephoneNumber/LATA") == ["656"]


def test_failed_order_may_lose_its_request(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(failed_loses_request=True)
    answer = bandwidth.read(bandwidth.place(named_xml("+19197519902")))

    assert answer.findtext("OrderStatus") == "FAILED"
    assert answer.find("Order/ExistingTelephoneNumberOrderType") is not None
    assert texts(answer, "Order//TelephoneNumber") == []


def test_unknown_order_is_404(bandwidth: PracticeClient) -> None:
    answer = bandwidth.http.get(f"{ACCOUNT}/orders/none")

    assert answer.status_code == 404
    assert fromstring(answer.content).findtext("ResponseStatus/ErrorCode") == "5061"


def test_numbers_of_an_order(bandwidth: PracticeClient) -> None:
    order_id = bandwidth.place(area_xml("919", 2))
    root = fromstring(bandwidth.http.get(f"{ACCOUNT}/orders/{order_id}/tns").content)

    assert root.findtext("Count") == "2"
    assert texts(root, "TelephoneNumber") == bandwidth.reported(order_id)["bought"]


# -- the list -------------------------------------------------------------------------------------


def test_order_is_found_by_its_reference(bandwidth: PracticeClient) -> None:
    bandwidth.place(area_xml("919"), CustomerOrderId="other")
    order_id = bandwidth.place(area_xml("919", 2), CustomerOrderId="ref-1")

    root = fromstring(bandwidth.listing(customerOrderId="ref-1").content)

    assert root.tag == "ResponseSelectWrapper"
    assert root.findtext("ListOrderIdUserIdDate/TotalCount") == "1"
    item = "ListOrderIdUserIdDate/OrderIdUserIdDate"
    assert texts(root, f"{item}/orderId") == [order_id]
    assert texts(root, f"{item}/CustomerOrderId") == ["ref-1"]
    assert texts(root, f"{item}/OrderStatus") == ["COMPLETED"]
    assert texts(root, f"{item}/OrderType") == ["new_number"]
    assert texts(root, f"{item}/CountOfTNs") == ["2"]


def test_no_match_is_an_empty_list_with_its_first_link(bandwidth: PracticeClient) -> None:
    bandwidth.place(area_xml("919"), CustomerOrderId="ref-10")
    root = fromstring(bandwidth.listing(customerOrderId="ref-1").content)

    assert root.findtext("*/TotalCount") == "0"
    assert [link.tag for link in root.iterfind("*/Links/*")] == ["first"]
    assert root.find("*/OrderIdUserIdDate") is None


@pytest.mark.parametrize(("rule", "count"), [("exact", "1"), ("substring", "2"), ("ignored", "3")])
def test_the_filter_has_the_rule_it_is_given(bandwidth: PracticeClient, rule: str, count: str) -> None:
    bandwidth.control.behave(reference_filter=rule)
    for reference in ("ref-1", "ref-10", "else"):
        bandwidth.place(area_xml("919"), CustomerOrderId=reference)

    root = fromstring(bandwidth.listing(customerOrderId="ref-1").content)

    assert root.findtext("*/TotalCount") == count


def test_new_order_is_listed_late_when_so_told(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(listing_delay_s=3600)
    bandwidth.place(area_xml("919"), CustomerOrderId="late")
    bandwidth.control.behave(listing_delay_s=0.2)
    bandwidth.place(area_xml("919"), CustomerOrderId="soon")

    assert "<TotalCount>0<" in bandwidth.listing(customerOrderId="late").text
    deadline = time.monotonic() + 60
    while "<TotalCount>1<" not in bandwidth.listing(customerOrderId="soon").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "<TotalCount>1<" in bandwidth.listing().text


def walk(client: PracticeClient, size: int, **query: str) -> list[str]:
    """Follow the `next` links by their page value, as a client must."""
    page: str | None = "1"
    seen: list[str] = []
    while page is not None:
        root = fromstring(client.listing(page=page, size=size, **query).content)
        seen += texts(root, "*/OrderIdUserIdDate/orderId")
        following = re.search(r"[?&]page=([^&>]+)", root.findtext("*/Links/next") or "")
        page = following[1] if following else None
    return seen


@pytest.mark.parametrize("oldest_first", [True, False])
def test_pages_go_through_everything_once(bandwidth: PracticeClient, oldest_first: bool) -> None:
    bandwidth.control.behave(list_oldest_first=oldest_first)
    placed = [bandwidth.place(area_xml("919"), CustomerOrderId="ref") for _ in range(5)]
    expected = placed if oldest_first else placed[::-1]

    assert walk(bandwidth, 2) == expected
    assert walk(bandwidth, 2, customerOrderId="ref") == expected
    assert walk(bandwidth, 5) == expected


def test_links_look_as_captured(bandwidth: PracticeClient) -> None:
    placed = [bandwidth.place(area_xml("919")) for _ in range(3)]
    root = fromstring(bandwidth.listing(page=placed[1], size=1).content)

    first, following, previous = (root.findtext(f"*/Links/{rel}", "") for rel in ("first", "next", "previous"))
    assert re.fullmatch(r'Link=<https://[^ ]+:443/v1.0/[^ ]+page=1&size=1>;rel="first";', first)
    assert f"page={placed[2]}&" in following
    assert "page=1&" in previous


@pytest.mark.parametrize(
    "query",
    [
        {"page": ""},
        {"size": ""},
        {"size": "0"},
        {"size": "1001"},
        {"size": "many"},
        {"startdate": "24-01-01"},
        {"startdate": "2024-01-01", "enddate": "2024-12-31"},
        {"status": "RECEIVED"},
    ],
)
def test_bad_listing_is_refused(bandwidth: PracticeClient, query: dict[str, str]) -> None:
    answer = bandwidth.listing(**query)

    assert answer.status_code == 400
    assert fromstring(answer.content).findtext("ResponseStatus/Description")


def test_list_can_be_filtered_by_status_and_day(bandwidth: PracticeClient) -> None:
    bandwidth.place(area_xml("919"))
    failed = bandwidth.place(area_xml("406"))
    today = f"{datetime.fromtimestamp(time.time(), UTC):%y-%m-%d}"

    root = fromstring(bandwidth.listing(status="failed", startdate="20-01-01", enddate=TOMORROW).content)
    assert texts(root, "*/OrderIdUserIdDate/orderId") == [failed]
    past = fromstring(bandwidth.listing(startdate="20-01-01", enddate="20-12-31").content)
    assert today > "20-12-31"
    assert past.findtext("*/TotalCount") == "0"


def test_page_that_no_order_begins_is_404(bandwidth: PracticeClient) -> None:
    assert bandwidth.listing(page="unknown").status_code == 404


# -- numbers on the account -----------------------------------------------------------------------


@pytest.mark.parametrize("written", [NUMBER, "%2B19195550100", "9195550100"])
def test_bought_number_names_its_order(bandwidth: PracticeClient, written: str) -> None:
    order_id = bandwidth.place(named_xml(NUMBER))
    root = fromstring(bandwidth.http.get(f"/api/v2/tns/{written}").content)

    assert root.tag == "TelephoneNumberResponse"
    assert root.findtext("OrderId") == order_id
    assert root.findtext("Status") == "Inservice"
    assert root.findtext("OrderType") == "NEW_NUMBER_ORDER"
    assert root.findtext("AccountId") == "9900000"


def test_number_may_be_in_the_account_without_service(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(number_status="InAccount")
    bandwidth.place(named_xml(NUMBER))

    assert "<Status>InAccount<" in bandwidth.http.get(f"/api/v2/tns/{NUMBER}").text


def test_number_not_bought_is_not_ours(bandwidth: PracticeClient) -> None:
    bandwidth.control.behave(processing_s=60)
    bandwidth.place(named_xml(NUMBER))

    answer = bandwidth.http.get(f"/api/v2/tns/{NUMBER}")

    assert answer.status_code == 404
    assert fromstring(answer.content).findtext("ResponseStatus/ErrorCode") == "15610"


def test_numbers_on_the_account_are_listed_in_pages(bandwidth: PracticeClient) -> None:
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


def test_placing_and_reading_survive_odd_text(bandwidth: PracticeClient) -> None:
    answer = bandwidth.post(order_xml(area_xml("919"), Name="&lt;b&gt; &amp; ü"))
    order_id = fromstring(answer.content).findtext("Order/id") or ""

    assert bandwidth.read(order_id).findtext("Order/Name") == "<b> & ü"
