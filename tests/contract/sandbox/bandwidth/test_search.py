"""Searches: every search of the page's tables, and combinations that are refused."""

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import BandwidthClient, area_xml, codes


@pytest.mark.parametrize(
    ("query", "prefix"),
    [
        ({"areaCode": "919"}, "+1919"),
        ({"areaCode": "704", "city": "Charlotte", "state": "NC"}, "+1704"),
        ({"rateCenter": "denver", "state": "CO", "LCA": "false"}, "+1303"),
        ({"state": "WA"}, "+1206"),
        ({"city": "Raleigh", "state": "NC", "countryCodeA3": "USA"}, "+1984247"),
        ({"zip": "60601"}, "+1312"),
        ({"zip": "60601-1234"}, "+1312"),
        ({"lata": "128"}, "+1617"),
        ({"tollFreeWildCardPattern": "80*"}, "+1800"),
        ({"tollFreeWildCardPattern": "83*"}, "+1833"),
        ({"tollFreeVanity": "FLOWERS"}, "+1800356"),
        ({"countryCodeA3": "USA"}, "+1"),
        ({"countryCodeA3": "USA", "phoneNumberType": "TOLL_FREE"}, "+18"),
        ({"countryCodeA3": "GBR"}, "+44"),
        ({"countryCodeA3": "GBR", "phoneNumberType": "GEOGRAPHIC"}, "+441224003908"),
        ({"countryCodeA3": "DEU", "PhoneNumberType": "NATIONAL"}, "+4932"),
        ({"countryCodeA3": "DEU", "areaCode": "30"}, "+4930"),
        ({"countryCodeA3": "DEU", "City": "Berlin"}, "+4930"),
    ],
)
def test_search_finds_numbers_of_the_kind_asked_for(
    bandwidth: BandwidthClient, query: dict[str, str], prefix: str
) -> None:
    found = bandwidth.found(**query, quantity=2)

    assert len(found) == 2
    assert found[0].startswith(prefix)


def test_exact_prefixes(bandwidth: BandwidthClient) -> None:
    some = bandwidth.found(areaCode="512", quantity=1)[0]
    exchange = bandwidth.found(npaNxx=some[2:8], LCA="false")
    thousand = bandwidth.found(npaNxxx=some[2:9], LCA="false")

    assert {number[:8] for number in exchange} == {some[:8]}
    assert {number[:9] for number in thousand} == {some[:9]}
    assert set(thousand) < set(exchange)


def test_local_calling_area_is_added_unless_declined(bandwidth: BandwidthClient) -> None:
    prefix = bandwidth.found(areaCode="919", quantity=1)[0][2:8]
    exact = bandwidth.found(npaNxx=prefix, LCA="false")
    widened = bandwidth.found(npaNxx=prefix)

    assert widened[: len(exact)] == exact
    assert {number[2:5] for number in widened} == {"919", "984"}


def test_vanity_is_found_by_its_letters(bandwidth: BandwidthClient) -> None:
    anywhere = bandwidth.found(localVanity="CALL", areaCode="919")
    at_the_end = bandwidth.found(localVanity="call", state="NC", endsIn="true")
    wild = bandwidth.found(localVanity="C_LL", areaCode="919", endsIn="true")

    assert all("2255" in number[-7:] for number in anywhere)
    assert {number[-4:] for number in at_the_end} == {"2255"}
    assert set(wild) >= {number for number in at_the_end if number.startswith("+1919")}
    assert set(anywhere) >= {number for number in at_the_end if number.startswith("+1919")}


def test_search_without_a_match_is_an_empty_result(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.search(areaCode="212", state="CO")

    assert answer.status_code == 200
    assert answer.text == '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><SearchResult/>'


@pytest.mark.parametrize("other", [{"countryCodeA3": "CAN"}, {"countryCodeA3": "USA", "phoneNumberType": "MOBILE"}])
def test_country_and_type_narrow_a_search_at_home(bandwidth: BandwidthClient, other: dict[str, str]) -> None:
    assert bandwidth.found(areaCode="919", **other) == []


def test_result_says_how_many(bandwidth: BandwidthClient) -> None:
    root = fromstring(bandwidth.search(areaCode="919", quantity=3).content)

    assert root.findtext("ResultCount") == "3"


def test_details_of_a_north_american_number(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.search(areaCode="919", quantity=1, enableTNDetail="true")
    details = list(fromstring(answer.content).iterfind("TelephoneNumberDetailList/TelephoneNumberDetail"))

    assert len(details) == 1
    shown = {child.tag: child.text or "" for child in details[0]}
    assert shown.keys() >= {"City", "LATA", "RateCenter", "State", "Tier", "VendorId", "VendorName"}
    assert shown["FullNumber"].startswith("+1919")


def test_details_of_a_number_abroad(bandwidth: BandwidthClient) -> None:
    query = {"countryCodeA3": "GBR", "phoneNumberType": "GEOGRAPHIC", "quantity": 1, "enableTNDetail": "true"}
    answer = fromstring(bandwidth.search(**query).content)

    assert [child.tag for child in answer.iterfind("*/TelephoneNumberDetail/*")] == [
        "CountryCodeA3",
        "PhoneNumberType",
        "City",
        "AreaCode",
        "Tier",
        "FullNumber",
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "4010"),
        ({"quantity": 5}, "4010"),
        ({"areaCode": "919", "quantity": 0}, "4010"),
        ({"areaCode": "919", "quantity": 5001}, "4010"),
        ({"areaCode": "119"}, "4000"),
        ({"areaCode": "91"}, "4000"),
        ({"npaNxx": "919155"}, "4002"),
        ({"npaNxxx": "919255"}, "4002"),
        ({"rateCenter": "RALEIGH"}, "4001"),
        ({"city": "Raleigh"}, "4005"),
        ({"state": "North Carolina"}, "4006"),
        ({"zip": "2760"}, "4007"),
        ({"lata": "Raleigh"}, "4008"),
        ({"tollFreeVanity": "CAL"}, "4003"),
        ({"tollFreeWildCardPattern": "800"}, "4004"),
        ({"areaCode": "919", "npaNxx": "919255"}, "4010"),
        ({"localVanity": "CALL", "zip": "27601"}, "4010"),
        ({"tollFreeVanity": "FLOWERS", "state": "NC"}, "4010"),
        ({"areaCode": "919", "orderBy": "fullNumber"}, "4021"),
        ({"zip": "27601", "orderBy": "price"}, "4020"),
        ({"areaCode": "919", "protected": "SOME"}, "4022"),
        ({"phoneNumberType": "NATIONAL"}, "4010"),
        ({"countryCodeA3": "GBR", "state": "NC"}, "4010"),
        ({"countryCodeA3": "GBR", "phoneNumberType": "PREMIUM"}, "4010"),
    ],
)
def test_invalid_search_is_refused(bandwidth: BandwidthClient, query: dict[str, object], code: str) -> None:
    answer = bandwidth.search(**query)

    assert answer.status_code == 400
    assert fromstring(answer.content).findtext("Error/Code") == code


def test_order_by_sorts(bandwidth: BandwidthClient) -> None:
    found = bandwidth.found(city="Raleigh", state="NC", orderBy="fullNumber")

    assert found == sorted(found)


def test_protected_only_finds_nothing(bandwidth: BandwidthClient) -> None:
    assert bandwidth.found(areaCode="919", protected="ONLY") == []


def test_bought_numbers_are_not_found(bandwidth: BandwidthClient) -> None:
    before = bandwidth.found(areaCode="919", quantity=5)

    bandwidth.place(area_xml("919", 3))

    assert bandwidth.found(areaCode="919", quantity=2) == before[3:]
    assert codes(bandwidth.search(areaCode="911")) == ["4000"]


def test_toll_free_numbers_are_found_by_their_type(bandwidth: BandwidthClient) -> None:
    found = bandwidth.found(countryCodeA3="USA", phoneNumberType="TOLL_FREE", areaCode="833", quantity=2)

    assert [number[:5] for number in found] == ["+1833", "+1833"]


def test_local_vanity_needs_no_other_criterion(bandwidth: BandwidthClient) -> None:
    assert [number[-4:] for number in bandwidth.found(localVanity="CALL", endsIn="true", quantity=2)] == ["2255"] * 2
