"""How orders end: by the stock, and by magic."""

import itertools

import pytest

from number_orders.sandbox.fates import BY_AREA_CODE, BY_LAST_DIGITS, Fate
from tests.contract.sandbox.bandwidth.client import BandwidthClient, area_xml, named_xml, texts

SCARCE = "207"  # five numbers in stock
AREA = {fate: area_code for area_code, fate in BY_AREA_CODE.items()}
DIGITS = {fate: digits for digits, fate in BY_LAST_DIGITS.items()}

# found, BackOrderRequested, PartialAllowed, status, quantity at first
SHORTAGES = [
    ("all", "true", "true", "COMPLETED", 3),
    ("all", "false", "false", "COMPLETED", 3),
    ("some", "true", "true", "BACKORDERED", 5),
    ("some", "true", "false", "BACKORDERED", 0),
    ("some", "false", "true", "PARTIAL", 5),
    ("some", "false", "false", "FAILED", 0),
    ("none", "true", "true", "BACKORDERED", 0),
    ("none", "true", "false", "BACKORDERED", 0),
    ("none", "false", "true", "FAILED", 0),
    ("none", "false", "false", "FAILED", 0),
]


@pytest.mark.parametrize(("found", "backorder", "partial", "status", "count"), SHORTAGES)
def test_shortage_follows_the_table(
    bandwidth: BandwidthClient, found: str, backorder: str, partial: str, status: str, count: int
) -> None:
    bandwidth.control.behave(backorder_s=60)
    if found == "none":
        bandwidth.place(area_xml(SCARCE, 5))
    quantity = 3 if found == "all" else 7
    labels = {"BackOrderRequested": backorder, "PartialAllowed": partial}

    order_id = bandwidth.place(area_xml(SCARCE, quantity), **labels)

    answer = bandwidth.read(order_id)
    assert answer.findtext("OrderStatus") == status
    assert answer.findtext("CompletedQuantity") == str(count)
    assert len(texts(answer, "CompletedNumbers//FullNumber")) == count
    expected = {"PARTIAL": ["5017"], "FAILED": ["5018"], "BACKORDERED": ["5520" if count else "5521"]}
    assert texts(answer, "ErrorList/Error/Code") == expected.get(status, [])


def test_real_backorder_is_filled_when_stock_arrives(bandwidth: BandwidthClient) -> None:
    """New numbers arrive once Denver is sold out, and none of them was offered before."""
    stock = len(bandwidth.found(areaCode="303"))
    bandwidth.place(area_xml("303", stock - 1))
    bandwidth.control.behave(backorder_s=0.8)

    order_id = bandwidth.place(area_xml("303", 4), BackOrderRequested="true")

    early = bandwidth.reported(order_id)
    answer = bandwidth.wait_until(order_id, "COMPLETED")
    assert early["status"] == "BACKORDERED"
    assert len(early["bought"]) == 1
    assert len(set(texts(answer, "CompletedNumbers//FullNumber"))) == 4
    assert set(early["set_aside"]) < set(bandwidth.reported(order_id)["bought"])


def test_real_backorder_waits_if_the_behaviour_says_so(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(backorders_fill=False, backorder_s=0)
    stock = len(bandwidth.found(areaCode="303"))

    order_id = bandwidth.place(area_xml("303", stock + 1), BackOrderRequested="true")

    assert bandwidth.status(order_id) == "BACKORDERED"


def place_each_way(client: BandwidthClient, fate: Fate, quantity: int, **labels: str) -> list[str]:
    """Place one order by the magic area code, one for numbers in it, and one for numbers with the magic last digits."""
    area, digits = AREA[fate], DIGITS[fate]
    inside = [f"+1{area}7{n:02}2345" for n in range(50, 50 + quantity)]
    elsewhere = [f"+1919{n}{digits}" for n in range(751, 751 + quantity)]
    orders = area_xml(area, quantity), named_xml(*inside), named_xml(*elsewhere)
    return [client.place(request_body, **labels) for request_body in orders]


def test_magic_partial(bandwidth: BandwidthClient) -> None:
    for order_id in place_each_way(bandwidth, Fate.PARTIAL, 5):
        answer = bandwidth.read(order_id)
        assert answer.findtext("OrderStatus") == "PARTIAL"
        assert answer.findtext("CompletedQuantity") == "2"
        assert answer.findtext("FailedQuantity") == "3"
        assert len(texts(answer, "CompletedNumbers//FullNumber")) == 2
        assert bandwidth.reported(order_id)["outcome"] == "PARTIAL"


def test_magic_partial_of_one_or_where_not_allowed_is_failed(bandwidth: BandwidthClient) -> None:
    for order_id in place_each_way(bandwidth, Fate.PARTIAL, 1):
        assert bandwidth.status(order_id) == "FAILED"
    bandwidth.control.reset()
    for order_id in place_each_way(bandwidth, Fate.PARTIAL, 4, PartialAllowed="false"):
        assert bandwidth.status(order_id) == "FAILED"
    assert bandwidth.control.report()["totals"]["numbers_bought"] == 0


def test_failed_named_numbers_are_listed_with_their_reason(bandwidth: BandwidthClient) -> None:
    numbers = ["+19197510001", "+19197519902", "+19197510003", "+14067510004"]
    answer = bandwidth.read(bandwidth.place(named_xml(*numbers)))

    assert answer.findtext("OrderStatus") == "PARTIAL"
    assert texts(answer, "CompletedNumbers//FullNumber") == [numbers[0], numbers[2]]
    assert texts(answer, "FailedNumbers/FullNumber") == [numbers[3], numbers[1]]
    assert texts(answer, "ErrorList/Error/TelephoneNumber") == [numbers[1], numbers[3]]
    assert answer.findtext("Summary") == "2 out of 4 numbers ordered in (919)"


def test_magic_failed(bandwidth: BandwidthClient) -> None:
    for order_id in place_each_way(bandwidth, Fate.FAILED, 2):
        answer = bandwidth.read(order_id)
        assert answer.findtext("OrderStatus") == "FAILED"
        assert answer.find("CompletedNumbers") is not None
        assert texts(answer, "CompletedNumbers//FullNumber") == []
        assert bandwidth.reported(order_id)["outcome"] == "FAILED"


def test_magic_backorder_that_is_filled(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(backorder_s=60)
    for order_id in place_each_way(bandwidth, Fate.BACKORDER_FILLS, 4):
        waiting = bandwidth.read(order_id)
        assert waiting.findtext("OrderStatus") == "BACKORDERED"
        assert waiting.findtext("CompletedQuantity") == "2"
        assert waiting.findtext("PendingQuantity") == "2"
    bandwidth.control.reset()
    bandwidth.control.behave(backorder_s=0.1)
    for order_id in place_each_way(bandwidth, Fate.BACKORDER_FILLS, 4):
        filled = bandwidth.wait_until(order_id, "COMPLETED")
        assert len(texts(filled, "CompletedNumbers//FullNumber")) == 4


def test_magic_backorder_that_waits_until_it_is_closed(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(backorder_s=0)
    for order_id in place_each_way(bandwidth, Fate.BACKORDER_WAITS, 4):
        assert bandwidth.status(order_id) == "BACKORDERED"
        assert bandwidth.reported(order_id)["ended_at"] is None

        closed = bandwidth.put(order_id, "<Order><CloseOrder>true</CloseOrder></Order>")

        assert closed.status_code == 200
        assert closed.text.endswith("<OrderResponse/>")
        answer = bandwidth.read(order_id)
        assert answer.findtext("OrderStatus") == "PARTIAL"
        assert len(texts(answer, "CompletedNumbers//FullNumber")) == 2
        report = bandwidth.reported(order_id)
        assert report["outcome"] == "PARTIAL"
        assert report["set_aside"] == []


def test_closing_a_backorder_without_numbers_fails_it(bandwidth: BandwidthClient) -> None:
    order_id = bandwidth.place(area_xml(AREA[Fate.BACKORDER_WAITS]))
    bandwidth.put(order_id, "<Order><CloseOrder>true</CloseOrder></Order>")

    assert bandwidth.status(order_id) == "FAILED"


def test_closing_a_backorder_returns_the_rest_to_stock(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(backorder_s=60)
    numbers = ["+13077510001", "+13077510002"]
    order_id = bandwidth.place(named_xml(*numbers))
    bandwidth.put(order_id, "<Order><CloseOrder>true</CloseOrder></Order>")

    assert bandwidth.status(order_id) == "PARTIAL"
    assert bandwidth.reported(order_id)["bought"] == [numbers[0]]
    again = bandwidth.place(named_xml(numbers[0], numbers[1]))
    assert bandwidth.reported(again)["bought"] == [numbers[1]]


def test_backorder_can_be_relabelled(bandwidth: BandwidthClient) -> None:
    order_id = bandwidth.place(area_xml(AREA[Fate.BACKORDER_WAITS]), CustomerOrderId="old")
    body = "<Order><Name>new name</Name><CustomerOrderId>new</CustomerOrderId></Order>"

    assert bandwidth.put(order_id, body).status_code == 200

    answer = bandwidth.read(order_id)
    assert answer.findtext("OrderStatus") == "BACKORDERED"
    assert answer.findtext("Order/Name") == "new name"
    assert "<TotalCount>1<" in bandwidth.listing(customerOrderId="new").text
    assert "<TotalCount>0<" in bandwidth.listing(customerOrderId="old").text


def test_only_a_backorder_can_be_closed(bandwidth: BandwidthClient) -> None:
    order_id = bandwidth.place(area_xml("919"))
    answer = bandwidth.put(order_id, "<Order><CloseOrder>true</CloseOrder></Order>")

    assert answer.status_code == 400
    assert "<Code>5060<" in answer.text
    assert bandwidth.put("nothing", "<Order/>").status_code == 404


def test_magic_order_that_never_ends(bandwidth: BandwidthClient) -> None:
    for order_id in place_each_way(bandwidth, Fate.NEVER_ENDS, 2):
        assert bandwidth.status(order_id) == "RECEIVED"
        report = bandwidth.reported(order_id)
        assert (report["outcome"], report["ended_at"], report["bought"]) == (None, None, [])


def test_magic_unknown_status(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(strange_word="NAPPING", strange_s=60)
    for order_id in place_each_way(bandwidth, Fate.STRANGE_WORD, 1):
        assert bandwidth.status(order_id) == "NAPPING"
        assert bandwidth.reported(order_id)["ended_at"] is None


def test_magic_unknown_status_is_followed_by_the_end(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(strange_s=0.1)
    for order_id in place_each_way(bandwidth, Fate.STRANGE_WORD, 1):
        answer = bandwidth.wait_until(order_id, "COMPLETED")
        assert len(texts(answer, "CompletedNumbers//FullNumber")) == 1


def test_magic_answer_contradicts_itself_as_on_the_page(bandwidth: BandwidthClient) -> None:
    for order_id in place_each_way(bandwidth, Fate.CONTRADICTS, 1):
        answer = bandwidth.read(order_id)
        assert answer.findtext("OrderStatus") == "COMPLETED"
        assert answer.findtext("CompletedQuantity") == "0"
        assert answer.findtext("FailedQuantity") == "1"
        listed = texts(answer, "CompletedNumbers//FullNumber")
        assert listed == bandwidth.reported(order_id)["bought"]
        assert len(listed) == 1


def test_magic_completed_with_errors(bandwidth: BandwidthClient) -> None:
    for order_id in place_each_way(bandwidth, Fate.WITH_ERRORS, 2):
        answer = bandwidth.read(order_id)
        assert answer.findtext("OrderStatus") == "COMPLETED"
        assert answer.findtext("CompletedQuantity") == "2"
        assert texts(answer, "ErrorList/Error/Code") == ["5003"]


def test_magic_area_codes_are_found_by_their_states(bandwidth: BandwidthClient) -> None:
    xml = "<StateSearchAndOrderType><Quantity>4</Quantity><State>HI</State></StateSearchAndOrderType>"

    assert bandwidth.status(bandwidth.place(xml)) == "PARTIAL"


def test_no_magic_in_ordinary_stock(bandwidth: BandwidthClient) -> None:
    numbers = list(itertools.chain(*(bandwidth.found(state=s) for s in ("NC", "CO", "WA", "NY"))))

    assert numbers
    assert not [number for number in numbers if number[-4:] in BY_LAST_DIGITS]


def test_stock_runs_out(bandwidth: BandwidthClient) -> None:
    stock = len(bandwidth.found(areaCode="213"))
    assert bandwidth.status(bandwidth.place(area_xml("213", stock))) == "COMPLETED"

    assert bandwidth.found(areaCode="213") == []
    assert bandwidth.status(bandwidth.place(area_xml("213", 1))) == "FAILED"
