"""Orders at the sandbox Bandwidth whose status and lists do not show at once how they go."""

import itertools

from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import BandwidthClient, area_xml, named_xml, texts

COMPLETED = "CompletedNumbers//FullNumber"


def seen(bandwidth: BandwidthClient, order_id: str, step_s: float, looks: int) -> list[tuple[str, int]]:
    """Return the status and the count of listed numbers at each look."""
    said = []
    for _ in range(looks):
        shown = bandwidth.read(order_id)
        said.append((shown.findtext("OrderStatus") or "", len(texts(shown, COMPLETED))))
        bandwidth.control.advance(step_s)
    return said


def test_numbers_are_listed_after_the_end_each_at_its_own_time(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(number_lag_s=[0, 100])
    order_id = bandwidth.place(area_xml("919", 6))

    said = seen(bandwidth, order_id, 10, 11)

    counts = [count for _, count in said]
    assert {status for status, _ in said} == {"COMPLETED"}
    assert (counts, counts[0] < 6, counts[-1]) == (sorted(counts), True, 6)
    assert len(set(counts)) > 2
    reported = bandwidth.reported(order_id)
    assert (len(reported["bought"]), reported["ended_at"]) == (6, reported["created_at"])


def test_unlisted_number_is_unknown_by_itself_too(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(number_lag_s=50)
    order_id = bandwidth.place(named_xml("+19197510001"))
    path = "/api/v2/tns/+19197510001"

    assert bandwidth.http.get(path).status_code == 404
    assert bandwidth.control.report()["holdings"]["bandwidth"] == {"+19197510001": "9900000"}
    bandwidth.control.advance(51)
    assert bandwidth.http.get(path).status_code == 200
    assert bandwidth.status(order_id) == "COMPLETED"


def test_status_flips_and_an_end_is_taken_back(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(flips=4, flip_s=100)
    stories = [
        seen(bandwidth, bandwidth.place(area_xml("919", 2), CustomerOrderId=f"later-{number}"), 50, 12)
        for number in range(12)
    ]

    assert all(story[-1] == ("COMPLETED", 2) for story in stories)
    assert any(("PARTIAL", 1) in story for story in stories)
    changes = [len(list(itertools.groupby(status for status, _ in story))) for story in stories]
    assert max(changes) > 3


def test_end_that_is_taken_back_is_no_end_in_the_report(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(flips=1, flip_s=1000)
    order_ids = [bandwidth.place(area_xml("919", 2), CustomerOrderId=f"ref-{number}") for number in range(20)]
    bandwidth.control.advance(1001)
    order_id = next(order_id for order_id in order_ids if bandwidth.status(order_id) == "PARTIAL")

    reported = bandwidth.reported(order_id)
    assert (reported["status"], reported["outcome"], reported["ended_at"], reported["bought"]) == (
        "PARTIAL",
        None,
        None,
        [],
    )


def test_backorder_loses_a_number_of_its_first_delivery(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(backorder_loses=1, backorder_s=60)
    order_id = bandwidth.place(area_xml("307", 4), BackOrderRequested="true", PartialAllowed="true")
    first = texts(bandwidth.read(order_id), COMPLETED)
    bandwidth.control.advance(61)

    shown = bandwidth.read(order_id)
    last = texts(shown, COMPLETED)
    (lost,) = set(first) - set(last)
    assert (shown.findtext("OrderStatus"), len(first), len(last)) == ("PARTIAL", 2, 3)
    assert bandwidth.reported(order_id)["withdrawn"] == [lost]
    assert bandwidth.http.get(f"/api/v2/tns/{lost}").status_code == 404


def test_some_orders_are_listed_much_later_than_others(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(listing_late_share=0.5, listing_late_s=100)
    order_ids = [bandwidth.place(area_xml("919"), CustomerOrderId=f"ref-{number}") for number in range(12)]

    listed = set(texts_of_list(bandwidth))
    assert 0 < len(listed) < 12
    late = [bandwidth.reported(order_id)["listed_at"] > bandwidth.control.clock()["at"] for order_id in order_ids]
    assert [order_id not in listed for order_id in order_ids] == late
    bandwidth.control.advance(101)
    assert len(texts_of_list(bandwidth)) == 12


def texts_of_list(bandwidth: BandwidthClient) -> list[str]:
    return texts(fromstring(bandwidth.listing().content), ".//orderId")
