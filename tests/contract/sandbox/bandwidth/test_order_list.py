"""The list of orders: filters, pages, and how soon an order appears."""

import re
import time
from datetime import UTC, datetime

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import BandwidthClient, area_xml, texts

TOMORROW = "99-12-31"


def test_order_is_found_by_its_reference(bandwidth: BandwidthClient) -> None:
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


def test_no_match_is_an_empty_list_with_its_first_link(bandwidth: BandwidthClient) -> None:
    bandwidth.place(area_xml("919"), CustomerOrderId="ref-10")
    root = fromstring(bandwidth.listing(customerOrderId="ref-1").content)

    assert root.findtext("*/TotalCount") == "0"
    assert [link.tag for link in root.iterfind("*/Links/*")] == ["first"]
    assert root.find("*/OrderIdUserIdDate") is None


@pytest.mark.parametrize(("rule", "count"), [("exact", "1"), ("substring", "2"), ("ignored", "3")])
def test_reference_filter_follows_the_behaviour(bandwidth: BandwidthClient, rule: str, count: str) -> None:
    bandwidth.control.behave(reference_filter=rule)
    for reference in ("ref-1", "ref-10", "else"):
        bandwidth.place(area_xml("919"), CustomerOrderId=reference)

    root = fromstring(bandwidth.listing(customerOrderId="ref-1").content)

    assert root.findtext("*/TotalCount") == count


def test_new_order_is_listed_after_its_delay(bandwidth: BandwidthClient) -> None:
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


def follow_pages(client: BandwidthClient, size: int, **query: str) -> list[str]:
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
def test_pages_list_every_order_once(bandwidth: BandwidthClient, oldest_first: bool) -> None:
    bandwidth.control.behave(list_oldest_first=oldest_first)
    placed = [bandwidth.place(area_xml("919"), CustomerOrderId="ref") for _ in range(5)]
    expected = placed if oldest_first else placed[::-1]

    assert follow_pages(bandwidth, 2) == expected
    assert follow_pages(bandwidth, 2, customerOrderId="ref") == expected
    assert follow_pages(bandwidth, 5) == expected


def test_links_look_as_captured(bandwidth: BandwidthClient) -> None:
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
def test_bad_listing_is_refused(bandwidth: BandwidthClient, query: dict[str, str]) -> None:
    answer = bandwidth.listing(**query)

    assert answer.status_code == 400
    assert fromstring(answer.content).findtext("ResponseStatus/Description")


def test_list_can_be_filtered_by_status_and_day(bandwidth: BandwidthClient) -> None:
    bandwidth.place(area_xml("919"))
    failed = bandwidth.place(area_xml("406"))
    today = f"{datetime.fromtimestamp(time.time(), UTC):%y-%m-%d}"

    root = fromstring(bandwidth.listing(status="failed", startdate="20-01-01", enddate=TOMORROW).content)
    assert texts(root, "*/OrderIdUserIdDate/orderId") == [failed]
    past = fromstring(bandwidth.listing(startdate="20-01-01", enddate="20-12-31").content)
    assert today > "20-12-31"
    assert past.findtext("*/TotalCount") == "0"


def test_unknown_page_is_404(bandwidth: BandwidthClient) -> None:
    assert bandwidth.listing(page="unknown").status_code == 404
