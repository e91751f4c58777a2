"""Numbers in service and restrictions, as in Bandwidth's documents."""

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, area_xml, named_xml, texts


def in_service(bandwidth: BandwidthClient, **query: object) -> list[str]:
    answer = bandwidth.http.get(f"{ACCOUNT}/inserviceNumbers", params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200, answer.text
    return texts(fromstring(answer.content), "TelephoneNumbers/TelephoneNumber")


def test_an_account_without_numbers_is_answered_204(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.get(f"{ACCOUNT}/inserviceNumbers")

    assert (answer.status_code, answer.content) == (204, b"")


def test_numbers_are_listed_page_by_page(bandwidth: BandwidthClient) -> None:
    bandwidth.place(area_xml("919", 5))
    first = bandwidth.http.get(f"{ACCOUNT}/inserviceNumbers", params={"size": "3"})
    root = fromstring(first.content)

    assert root.findtext("TotalCount") == "5"
    assert root.findtext("TelephoneNumbers/Count") == "3"
    following = (root.findtext("Links/next") or "").partition("page=")[2].partition("&")[0]
    assert following.startswith("+1919")
    rest = in_service(bandwidth, page=following, size=3)
    assert len({*texts(root, "TelephoneNumbers/TelephoneNumber"), *rest}) == 5


def test_every_filter_is_applied(bandwidth: BandwidthClient) -> None:
    raleigh = bandwidth.found(city="Raleigh", state="NC", quantity=1)[0]
    aberdeen = "+441224003908"
    bandwidth.place(named_xml(raleigh))
    bandwidth.place(named_xml(aberdeen))
    home = [
        {"areaCode": raleigh[2:5]},
        {"npaNxx": raleigh[2:8]},
        {"npaNxxx": raleigh[2:9]},
        {"lata": "426"},
        {"rateCenter": "RALEIGH", "state": "NC"},
        {"countryCodeA3": "USA"},
        {"city": "Raleigh"},
    ]
    abroad = ({"countryCodeA3": "GBR"}, {"areaCode": "1224"}, {"city": "Aberdeen"})

    assert [in_service(bandwidth, **query) for query in home] == [[raleigh]] * len(home)
    assert [in_service(bandwidth, **query) for query in abroad] == [[aberdeen]] * len(abroad)
    assert set(in_service(bandwidth, phoneNumberType="GEOGRAPHIC")) == {raleigh, aberdeen}


@pytest.mark.parametrize(
    "query", [{"size": 0}, {"size": "many"}, {"areaCode": "abc"}, {"npaNxx": "919"}, {"rateCenter": "RALEIGH"}]
)
def test_a_filter_that_cannot_be_read_is_answered_404(bandwidth: BandwidthClient, query: dict[str, object]) -> None:
    answer = bandwidth.http.get(f"{ACCOUNT}/inserviceNumbers", params={k: str(v) for k, v in query.items()})

    assert answer.status_code == 404


def test_a_number_without_services_is_not_in_service(bandwidth: BandwidthClient) -> None:
    bandwidth.control.behave(number_status="InAccount")
    bandwidth.place(area_xml("919"))

    assert bandwidth.http.get(f"{ACCOUNT}/inserviceNumbers").status_code == 204


def test_restrictions_of_italy_are_those_of_the_page(bandwidth: BandwidthClient) -> None:
    root = fromstring(bandwidth.http.get("/api/v2/restrictions", params={"countryCodeA3": "ITA"}).content)

    assert texts(root, "Restrictions/Restriction/RestrictionType") == ["LEGAL", "LEGAL", "SERVICE", "SERVICE"]
    assert set(texts(root, "Restrictions/Restriction/CountryCodeA3")) == {"ITA"}


def test_other_countries_have_no_restrictions(bandwidth: BandwidthClient) -> None:
    root = fromstring(bandwidth.http.get("/api/v2/restrictions", params={"countryCodeA3": "NLD"}).content)

    assert [child.tag for child in root.iter()] == ["RestrictionResponse", "Restrictions"]


def test_restrictions_without_a_country_are_refused(bandwidth: BandwidthClient) -> None:
    answer = bandwidth.http.get("/api/v2/restrictions")

    assert answer.status_code == 400
    assert fromstring(answer.content).findtext("ResponseStatus/ErrorCode") == "4010"
