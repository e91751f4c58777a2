"""Placing orders: every order type, the first answer, and what is refused."""

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import (
    ACCOUNT,
    BandwidthClient,
    area_xml,
    codes,
    criteria_xml,
    named_xml,
    order_xml,
    texts,
)

COMBINED = "CombinedSearchAndOrderType"
NPANXX = "NPANXXSearchAndOrderType"


def bought(client: BandwidthClient, order_id: str) -> list[str]:
    return texts(client.read(order_id), "CompletedNumbers//FullNumber")


def test_answer_repeats_the_accepted_order_with_its_id(bandwidth: BandwidthClient) -> None:
    body = order_xml(named_xml("+19842471432"), CustomerOrderId="ref-1", Name="R&amp;D", AutoActivate="true")
    answer = bandwidth.post(body)

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/xml;charset=UTF-8"
    assert answer.content.startswith(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><OrderResponse>')
    root = fromstring(answer.content)
    assert answer.headers["location"].endswith(f"{ACCOUNT}/orders/{root.findtext('Order/id')}")
    assert root.findtext("OrderStatus") == "RECEIVED"
    assert root.findtext("Order/CustomerOrderId") == "ref-1"
    assert root.findtext("Order/Name") == "R&D"
    assert root.findtext("Order/AutoActivate") == "true"
    assert root.findtext("Order/PartialAllowed") == "true"
    assert root.findtext("Order/BackOrderRequested") == "false"
    assert texts(root, "Order/ExistingTelephoneNumberOrderType//TelephoneNumber") == ["+19842471432"]


@pytest.mark.parametrize(
    ("kind", "fields", "prefix"),
    [
        ("AreaCodeSearchAndOrderType", {"AreaCode": "617"}, "+1617"),
        ("RateCenterSearchAndOrderType", {"RateCenter": "BOULDER", "State": "CO"}, "+1303"),
        ("TollFreeVanitySearchAndOrderType", {"TollFreeVanity": "TICKETS"}, "+1800842"),
        ("TollFreeWildCharSearchAndOrderType", {"TollFreeWildCardPattern": "84*"}, "+1844"),
        ("StateSearchAndOrderType", {"State": "GA"}, "+1404"),
        ("CitySearchAndOrderType", {"City": "Miami", "State": "FL"}, "+1305"),
        ("ZIPSearchAndOrderType", {"Zip": "97201"}, "+1503"),
        ("LATASearchAndOrderType", {"Lata": "666"}, "+1602"),
        ("LATASearchAndOrderType", {"LATA": "666"}, "+1602"),
        (COMBINED, {"AreaCode": "512", "State": "TX", "City": "Austin"}, "+1512"),
        (COMBINED, {"RateCenter": "DALLAS", "State": "TX", "Zip": "75201", "Lata": "552"}, "+1214"),
        (COMBINED, {"AreaCode": "919", "LocalVanity": "HOME", "EndsIn": "true"}, "+1919"),
    ],
)
def test_search_and_order_buys_matching_numbers(
    bandwidth: BandwidthClient, kind: str, fields: dict[str, str], prefix: str
) -> None:
    order_id = bandwidth.place(criteria_xml(kind, Quantity=2, **fields))

    numbers = bought(bandwidth, order_id)
    assert len(set(numbers)) == 2
    assert numbers[0].startswith(prefix)
    assert bandwidth.reported(order_id)["kind"] == kind


@pytest.mark.parametrize(("field", "length"), [("NpaNxx", 8), ("NpaNxxX", 9)])
def test_order_by_prefix(bandwidth: BandwidthClient, field: str, length: int) -> None:
    some = bandwidth.found(areaCode="212", quantity=1)[0]
    wanted = {field: some[2:length]}

    order_id = bandwidth.place(criteria_xml(NPANXX, Quantity=2, EnableLCA="false", **wanted))

    numbers = bought(bandwidth, order_id)
    assert len(numbers) == 2
    assert {number[:length] for number in numbers} == {some[:length]}


def test_order_by_prefix_continues_in_the_calling_area(bandwidth: BandwidthClient) -> None:
    fields = {"NpaNxx": "984247", "Quantity": 8}
    exact = bandwidth.place(criteria_xml(NPANXX, EnableLCA="false", **fields))
    assert bandwidth.status(exact) == "PARTIAL"
    bandwidth.control.reset()

    widened = bandwidth.place(criteria_xml(NPANXX, **fields))

    assert bandwidth.status(widened) == "COMPLETED"
    assert len(bought(bandwidth, widened)) == 8


def test_vanity_order_buys_the_word(bandwidth: BandwidthClient) -> None:
    order_id = bandwidth.place(criteria_xml(COMBINED, AreaCode="919", LocalVanity="TAXI", EndsIn="true", Quantity=1))

    assert bought(bandwidth, order_id)[0].endswith("8294")


@pytest.mark.parametrize("number", ["+441224003845", "+448000488968", "+4930239876543", "+19195550100"])
def test_any_plausible_number_can_be_bought_once(bandwidth: BandwidthClient, number: str) -> None:
    first, second = bandwidth.place(named_xml(number)), bandwidth.place(named_xml(number))

    assert bought(bandwidth, first) == [number]
    answer = bandwidth.read(second)
    assert answer.findtext("OrderStatus") == "FAILED"
    assert texts(answer, "FailedNumbers/FullNumber") == [number]
    assert texts(answer, "ErrorList/Error/Code") == ["5005"]
    assert texts(answer, "ErrorList/Error/TelephoneNumber") == [number]


def test_ten_digits_are_taken_as_north_american(bandwidth: BandwidthClient) -> None:
    assert bought(bandwidth, bandwidth.place(named_xml("9195550123"))) == ["+19195550123"]


def test_number_of_an_open_order_fails_with_5218(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(processing_s=60)
    bandwidth.place(named_xml("+19195550100"))
    bandwidth.control.behave(processing_s=0)

    second = bandwidth.read(bandwidth.place(named_xml("+19195550100")))

    assert texts(second, "ErrorList/Error/Code") == ["5218"]


def test_customer_order_id_does_not_deduplicate(bandwidth: BandwidthClient) -> None:
    ids = {bandwidth.place(area_xml("919"), CustomerOrderId="same") for _ in range(2)}

    assert len(ids) == 2
    assert set(bandwidth.control.report()["duplicates"]["customer_order_ids"]["same"]) == ids


@pytest.mark.parametrize(
    ("where", "in_body", "in_location"),
    [
        ("both", True, True),
        ("body", True, False),
        ("location", False, True),
    ],
)
def test_where_the_id_is_stated(bandwidth: BandwidthClient, where: str, in_body: bool, in_location: bool) -> None:
    bandwidth.control.behave(order_id_in=where)
    answer = bandwidth.post(order_xml(area_xml("919")))

    assert (fromstring(answer.content).find("Order/id") is not None) is in_body
    assert ("location" in answer.headers) is in_location


def test_the_body_is_right_when_the_location_differs(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(order_id_in="different")
    answer = bandwidth.post(order_xml(area_xml("919")))
    shown = fromstring(answer.content).findtext("Order/id") or "none"

    assert not answer.headers["location"].endswith(shown)
    assert bandwidth.status(shown) == "COMPLETED"


LONG = "x" * 41
NUMBER = "+19195550100"


@pytest.mark.parametrize(
    ("type_xml", "labels", "code"),
    [
        (named_xml(), {}, "5001"),
        ("<ExistingTelephoneNumberOrderType/>", {}, "5001"),
        (named_xml(NUMBER), {"SiteId": ""}, "5022"),
        (named_xml(NUMBER), {"SiteId": "1"}, "5016"),
        (named_xml(NUMBER), {"SiteId": "744"}, "5020"),
        (named_xml(NUMBER), {"PeerId": "1"}, "5023"),
        (named_xml(NUMBER), {"CustomerOrderId": LONG}, "5052"),
        (named_xml(NUMBER), {"CustomerOrderId": "under_score"}, "5052"),
        (named_xml(NUMBER), {"PartialAllowed": "maybe"}, "5217"),
        (named_xml("+1919"), {}, "5213"),
        (named_xml(NUMBER, NUMBER), {}, "5093"),
        (named_xml(NUMBER, "+441224003845"), {}, "5165"),
        ("<NewKindOfOrderType/>", {}, "5087"),
        ("", {}, "5087"),
        (area_xml("919") + area_xml("919"), {}, "5087"),
        (area_xml("919", 0), {}, "5009"),
        (area_xml("919", -1), {}, "5009"),
        (area_xml("919", 5001), {}, "5211"),
        (criteria_xml("AreaCodeSearchAndOrderType", AreaCode="919"), {}, "5198"),
        (criteria_xml("TollFreeVanitySearchAndOrderType", TollFreeVanity="FLOWERS"), {}, "5199"),
        (criteria_xml("StateSearchAndOrderType", Quantity=1), {}, "5224"),
        (criteria_xml(NPANXX, Quantity=1), {}, "5224"),
        (criteria_xml(NPANXX, Quantity=1, NpaNxx="919255", NpaNxxX="9192551"), {}, "5002"),
        (area_xml("119"), {}, "5002"),
        (area_xml("911"), {}, "5002"),
        (area_xml("291"), {}, "5002"),
        (criteria_xml(COMBINED, Quantity=1), {}, "5002"),
        (criteria_xml(COMBINED, Quantity=1, AreaCode="919", NpaNxx="919255"), {}, "5002"),
        (criteria_xml(COMBINED, Quantity=1, City="Raleigh"), {}, "5002"),
        (criteria_xml(COMBINED, Quantity=1, RateCenter="RALEIGH"), {}, "5002"),
        (criteria_xml(COMBINED, Quantity=1, LocalVanity="CALL"), {}, "5002"),
        (criteria_xml(COMBINED, Quantity=1, LocalVanity="CALL", AreaCode="919", Zip="27601"), {}, "5002"),
        (criteria_xml(COMBINED, Quantity=1, AreaCode="919", EndsIn="true"), {}, "5002"),
        (criteria_xml("TollFreeWildCharSearchAndOrderType", Quantity=1, TollFreeWildCardPattern="800"), {}, "5002"),
        (criteria_xml("ZIPSearchAndOrderType", Quantity=1, Zip="1"), {}, "5002"),
        (named_xml(NUMBER), {"BackOrderRequested": "true"}, "5522"),
        (criteria_xml(NPANXX, Quantity=1, NpaNxx="919255"), {"BackOrderRequested": "true"}, "5522"),
        (criteria_xml(NPANXX, Quantity=1, NpaNxxX="9192551"), {"BackOrderRequested": "true"}, "5522"),
        (
            criteria_xml("TollFreeVanitySearchAndOrderType", Quantity=1, TollFreeVanity="FLOWERS"),
            {"BackOrderRequested": "true"},
            "5522",
        ),
        (
            criteria_xml(COMBINED, Quantity=1, AreaCode="919", LocalVanity="CALL"),
            {"BackOrderRequested": "true"},
            "5522",
        ),
    ],
)
def test_invalid_order_is_refused(bandwidth: BandwidthClient, type_xml: str, labels: dict[str, str], code: str) -> None:
    answer = bandwidth.post(order_xml(type_xml, **labels))

    assert answer.status_code == 400
    assert codes(answer) == [code]
    assert fromstring(answer.content).find("Order/id") is None
    assert bandwidth.control.report()["orders"] == []


def test_every_reason_is_given_at_once(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.post(order_xml(named_xml("+1919"), SiteId="", CustomerOrderId="a/b"))

    assert codes(answer) == ["5022", "5052", "5213"]
    assert fromstring(answer.content).findtext("Order/CustomerOrderId") == "a/b"


@pytest.mark.parametrize(
    "body", ["", "not xml", "<Orders/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><Order><Name>&b;</Name></Order>"]
)
def test_body_that_is_not_an_order_is_refused(bandwidth: BandwidthClient, body: str) -> None:
    answer = bandwidth.post(body)

    assert answer.status_code == 400
    assert codes(answer) == ["5002"]


def test_numbers_without_their_order_type_are_a_500_as_observed(bandwidth: BandwidthClient) -> None:
    body = f"<TelephoneNumberList><TelephoneNumber>{NUMBER}</TelephoneNumber></TelephoneNumberList>"
    answer = bandwidth.post(order_xml(body))

    assert (answer.status_code, answer.content) == (500, b"")
