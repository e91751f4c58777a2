"""Questions without an order to Bandwidth, and how their answers are read, first those that its page prints."""

from datetime import UTC, datetime

import pytest

from number_orders.carriers.bandwidth.market import BandwidthMarket
from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.market import HeldNumber, InServiceQuery, Offer, Restriction, RestrictionsQuery, SearchQuery
from number_orders.orders.errors import Declined, FulfilmentError, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import Criteria
from number_orders.orders.numbers import E164
from tests.unit.carriers.conversations import answer, first_request, inquire

MARKET = BandwidthMarket("9900000")
ACCOUNT = "/api/v2/accounts/9900000"
A, B, C, D = (E164(f"+1919555012{digit}") for digit in range(4))
IN_919 = SearchQuery(Criteria(npa="919"), 5)


def with_declaration(root: str) -> bytes:
    return f"<?xml version='1.0' encoding='UTF-8' standalone='yes'?>{root}".encode()


def found(*numbers: str) -> bytes:
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
    return with_declaration(
        f"<SearchResult><ResultCount>{len(numbers)}</ResultCount>"
        f"<TelephoneNumberList>{listed}</TelephoneNumberList></SearchResult>"
    )


def refused(code: str, words: str) -> bytes:
    return with_declaration(
        f"<SearchResult><Error><Code>{code}</Code><Description>{words}</Description></Error></SearchResult>"
    )


def page(*numbers: str, total: int, following: str | None = None) -> bytes:
    """Return a page of numbers in service, like the captured ones, whose links have a useless host."""
    link = "Link=&lt;https://api.test.inetwork.com:443/v1.0/accounts/9500249/inserviceNumbers?size=500&amp;page={}&gt;"
    following = f"<next>{link.format(following)};rel=&quot;next&quot;;</next>" if following else ""
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
    return with_declaration(
        f"<TNs><TotalCount>{total}</TotalCount><Links><first>{link.format(1)};rel=&quot;first&quot;;</first>{following}"
        f"</Links><TelephoneNumbers><Count>{len(numbers)}</Count>{listed}</TelephoneNumbers></TNs>"
    )


class TestTheSamplesOfThePage:
    def test_british_numbers(self) -> None:
        """GET …/availableNumbers?countryCodeA3=GBR&phoneNumberType=GEOGRAPHIC&quantity=5"""
        numbers = [f"+44122400{line}" for line in ("3908", "3995", "3996", "3997", "3998")]

        requests, offers = inquire(
            MARKET.search(SearchQuery(Criteria(country="GBR", number_type="local"), 5)), answer(found(*numbers))
        )

        (request,) = requests
        assert (request.method, request.path) == ("GET", f"{ACCOUNT}/availableNumbers")
        assert {
            "countryCodeA3": "GBR",
            "phoneNumberType": "GEOGRAPHIC",
            "quantity": "5",
        }.items() <= request.query.items()
        assert [offer.e164 for offer in offers.listed] == numbers
        assert offers.unreadable == 0

    def test_numbers_in_raleigh(self) -> None:
        """GET …/availableNumbers?countryCodeA3=USA&quantity=5&city=Raleigh&state=NC"""
        numbers = [f"+1984247{line}" for line in ("1432", "1793", "1794", "1827", "1828")]

        requests, offers = inquire(
            MARKET.search(SearchQuery(Criteria(country="USA", city="Raleigh", state="NC"), 5)), answer(found(*numbers))
        )

        expected = {"countryCodeA3": "USA", "quantity": "5", "city": "Raleigh", "state": "NC"}
        assert expected.items() <= requests[0].query.items()
        assert offers.listed == tuple(Offer(E164(number)) for number in numbers)

    def test_restrictions_of_italy(self) -> None:
        """GET …/restrictions?countryCodeA3=ITA, with the comment between its entries."""
        rule = (
            "Customers providing Electronic Communication Services must be registered operators with the local "
            "regulator and must provide these services to end users."
        )
        long = (
            "Customer shall not send traffic through the Enhanced Voice Transit feature to Bandwidth's network from "
            "numbers not permitted to originate calls, short codes, specialized service numbers, Emergency Service "
            "numbers and Premium Rate numbers as designated as such by the National numbering plan."
        )
        sample = with_declaration(
            "<RestrictionResponse>\n<Restrictions>\n"
            f"{restriction('Sub allocation', rule, 'LEGAL')}<!-- Additional restrictions -->\n"
            f"{restriction('Outbound call', long, 'SERVICE')}</Restrictions>\n</RestrictionResponse>"
        )

        requests, result = inquire(MARKET.restrictions(RestrictionsQuery("ITA")), answer(sample))

        assert (requests[0].path, requests[0].query) == ("/api/v2/restrictions", {"countryCodeA3": "ITA"})
        assert result == (
            Restriction("ITA", "Sub allocation", rule, nature="LEGAL"),
            Restriction("ITA", "Outbound call", long, nature="SERVICE"),
        )


def restriction(category: str, description: str, kind: str) -> str:
    return (
        "<Restriction>\n<CountryCodeA3>ITA</CountryCodeA3>\n"
        f"<RestrictionCategory>{category}</RestrictionCategory>\n"
        f"<RestrictionDescription>{description}</RestrictionDescription>\n"
        f"<RestrictionType>{kind}</RestrictionType>\n</Restriction>\n"
    )


class TestSearch:
    def test_details_are_read(self) -> None:
        """As in the API's schema for North America."""
        detail = (
            "<TelephoneNumberDetail><City>RALEIGH</City><LATA>426</LATA><RateCenter>RALEIGH</RateCenter>"
            "<State>NC</State><FullNumber>9195550120</FullNumber><Tier>0</Tier><VendorId>49</VendorId>"
            "<VendorName>Bandwidth CLEC</VendorName></TelephoneNumberDetail>"
        )
        listed = f"<TelephoneNumberDetailList>{detail}</TelephoneNumberDetailList>"
        sample = f"<SearchResult><ResultCount>1</ResultCount>{listed}</SearchResult>"

        _, offers = inquire(MARKET.search(IN_919), answer(sample))

        assert offers.listed == (Offer(A, city="RALEIGH", state="NC", rate_center="RALEIGH", lata="426", tier="0"),)

    def test_details_abroad_have_an_area_code_instead(self) -> None:
        detail = (
            "<TelephoneNumberDetail><CountryCodeA3>GBR</CountryCodeA3><PhoneNumberType>GEOGRAPHIC</PhoneNumberType>"
            "<City>ABERDEEN</City><AreaCode>1224</AreaCode><Tier>0</Tier><FullNumber>+441224003908</FullNumber>"
            "</TelephoneNumberDetail>"
        )
        sample = f"<SearchResult><TelephoneNumberDetailList>{detail}</TelephoneNumberDetailList></SearchResult>"

        _, offers = inquire(MARKET.search(SearchQuery(Criteria(country="GBR"))), answer(sample))

        (offer,) = offers.listed
        assert (offer.country, offer.number_type, offer.area_code) == ("GBR", "GEOGRAPHIC", "1224")

    def test_nothing_found_is_an_empty_element(self) -> None:
        _, offers = inquire(MARKET.search(IN_919), answer("<SearchResult/>"))

        assert offers.listed == ()

    def test_an_unreadable_entry_is_counted_and_left_out(self) -> None:
        _, offers = inquire(MARKET.search(IN_919), answer(found(A, "nothing", B)))

        assert [offer.e164 for offer in offers.listed] == [A, B]
        assert offers.unreadable == 1

    def test_a_search_with_faults_is_not_sent(self) -> None:
        with pytest.raises(InquiryRefused) as refusal:
            first_request(MARKET.search(SearchQuery(Criteria(city="Raleigh"))))

        assert [str(fault) for fault in refusal.value.faults] == ["criteria.city: needs criteria.state beside it"]

    def test_the_account_is_quoted_in_the_path(self) -> None:
        request = first_request(BandwidthMarket("a/b").search(IN_919))

        assert request.path == "/api/v2/accounts/a%2Fb/availableNumbers"


class TestRestrictions:
    def test_a_country_without_any(self) -> None:
        _, result = inquire(
            MARKET.restrictions(RestrictionsQuery("NLD")),
            answer("<RestrictionResponse><Restrictions/></RestrictionResponse>"),
        )

        assert result == ()

    def test_a_country_that_is_not_one_is_refused(self) -> None:
        with pytest.raises(InquiryRefused, match="three capital letters"):
            first_request(MARKET.restrictions(RestrictionsQuery("Italy")))


class TestOneNumber:
    def test_a_number_is_shown_with_the_order_that_brought_it(self) -> None:
        """As captured from GET /tns/{tn}."""
        sample = (
            "<TelephoneNumberResponse><TelephoneNumber>9195550120</TelephoneNumber><Status>Inservice</Status>"
            "<LastModifiedDate>2014-05-09T21:12:03.000Z</LastModifiedDate><OrderCreateDate>2014-05-09T21:12:03.835Z"
            "</OrderCreateDate><OrderId>5f3a4dab-aac7-4b0a-8ee4-1b6a67ae04be</OrderId><OrderType>NEW_NUMBER_ORDER</OrderType>"
            "<SiteId>743</SiteId><AccountId>9900000</AccountId></TelephoneNumberResponse>"
        )

        requests, result = inquire(MARKET.number(A), answer(sample))

        assert requests[0].path == "/api/v2/tns/%2B19195550120"
        assert result == HeldNumber(
            A,
            status="Inservice",
            is_ours=True,
            carrier_order_id="5f3a4dab-aac7-4b0a-8ee4-1b6a67ae04be",
            account="9900000",
            sub_account="743",
            ordered_at=datetime(2014, 5, 9, 21, 12, 3, tzinfo=UTC),
            changed_at=datetime(2014, 5, 9, 21, 12, 3, tzinfo=UTC),
        )

    def test_a_number_of_another_account_is_declined(self) -> None:
        sample = (
            "<TelephoneNumberResponse><ResponseStatus><ErrorCode>15610</ErrorCode><Description>The telephone number "
            "does not belong to this account.</Description></ResponseStatus></TelephoneNumberResponse>"
        )

        with pytest.raises(Declined, match=r"15610: The telephone number does not belong") as declined:
            inquire(MARKET.number(A), answer(sample, 404))
        assert declined.value.code == "15610"

    def test_an_empty_404_is_declined(self) -> None:
        with pytest.raises(Declined, match=r"\+19195550120 is not on record"):
            inquire(MARKET.number(A), answer(status=404))

    def test_another_number_than_asked_for_is_unreadable(self) -> None:
        sample = f"<TelephoneNumberResponse><TelephoneNumber>{B}</TelephoneNumber></TelephoneNumberResponse>"

        with pytest.raises(UnreadableAnswer, match="got another number"):
            inquire(MARKET.number(A), answer(sample))


class TestNumbersInService:
    def test_all_pages_are_read(self) -> None:
        requests, result = inquire(
            MARKET.numbers(InServiceQuery()),
            answer(page("9195550120", "9195550121", total=3, following="9195550122")),
            answer(page("9195550122", total=3)),
        )

        assert [request.path for request in requests] == [f"{ACCOUNT}/inserviceNumbers"] * 2
        assert [request.query["page"] for request in requests] == ["1", "9195550122"]
        assert [one.e164 for one in result.listed] == [A, B, C]
        assert result.total == 3

    def test_no_more_is_read_than_asked_for(self) -> None:
        _, result = inquire(
            MARKET.numbers(InServiceQuery(limit=1)),
            answer(page("9195550120", "9195550121", total=9, following="9195550122")),
        )

        assert [one.e164 for one in result.listed] == [A]
        assert result.total == 9

    def test_a_page_without_new_numbers_is_the_last(self) -> None:
        """A page that links to itself would be read for ever."""
        itself = answer(page("9195550121", total=2, following="9195550121"))

        requests, result = inquire(
            MARKET.numbers(InServiceQuery()),
            answer(page("9195550120", total=2, following="9195550121")),
            itself,
            itself,
        )

        assert len(requests) == 3
        assert len(result.listed) == 2

    def test_none_is_answered_204(self) -> None:
        _, result = inquire(MARKET.numbers(InServiceQuery()), answer(status=204))

        assert (result.listed, result.total) == ((), 0)

    def test_every_filter_of_the_documents_is_passed_on(self) -> None:
        town = Criteria(npa="919", nxx="555", thousands_block="0", lata="426", rate_center="RALEIGH", state="nc")
        abroad = Criteria(country="GBR", number_type="local", npa="1224", city="Aberdeen")

        assert first_request(MARKET.numbers(InServiceQuery(town))).query == {
            "page": "1",
            "size": "500",
            "npaNxxx": "9195550",
            "lata": "426",
            "rateCenter": "RALEIGH",
            "state": "NC",
        }
        assert first_request(MARKET.numbers(InServiceQuery(abroad))).query == {
            "page": "1",
            "size": "500",
            "countryCodeA3": "GBR",
            "phoneNumberType": "GEOGRAPHIC",
            "areaCode": "1224",
            "city": "Aberdeen",
        }

    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            (InServiceQuery(Criteria(zip="27601")), "criteria.zip"),
            (InServiceQuery(Criteria(vanity="CALL")), "criteria.vanity"),
            (InServiceQuery(Criteria(state="NC")), "criteria.state"),
            (InServiceQuery(Criteria(rate_center="RALEIGH")), "criteria.rate_center"),
            (InServiceQuery(limit=0), "limit"),
        ],
    )
    def test_an_unknown_filter_is_refused(self, wanted: InServiceQuery, field: str) -> None:
        with pytest.raises(InquiryRefused) as refusal:
            first_request(MARKET.numbers(wanted))

        assert [fault.field for fault in refusal.value.faults] == [field]

    def test_an_empty_404_is_about_account_or_filter(self) -> None:
        with pytest.raises(Declined, match="a filter that it does not take"):
            inquire(MARKET.numbers(InServiceQuery()), answer(status=404))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (answer(refused("4010", "Provided search criteria are unsupported"), 400), Declined, "4010: Provided search"),
        (answer(refused("4014", "Access denied"), 403), Declined, "4014: Access denied"),
        (answer(refused("4010", "unsupported"), 200), Declined, "4010: unsupported"),
        (answer(refused("4009", "System error, please retry"), 400), NoAnswer, "4009: System error"),
        (answer(refused("4009", "System error, please retry"), 200), NoAnswer, "4009: System error"),
        (
            answer("<R><ResponseStatus><Description>API request timed out.</Description></ResponseStatus></R>", 400),
            NoAnswer,
            "timed out",
        ),
        (answer(status=401), NoAnswer, "HTTP 401: the credentials were not accepted"),
        (answer(status=403), NoAnswer, "HTTP 403: the credentials lack"),
        (answer(status=404), NoAnswer, "no such account"),
        (answer(status=504), NoAnswer, "HTTP 504"),
        (answer(refused("1000", "internal"), 500), NoAnswer, "1000: internal"),
        (answer("<html>Bad gateway</html>", 502), NoAnswer, "HTTP 502"),
        (answer("<!DOCTYPE html><html/>"), NoAnswer, "a web page"),
        (answer(""), NoAnswer, "an empty body"),
        (answer("{}"), UnreadableAnswer, "not XML"),
        (answer("<OrderResponse/>"), UnreadableAnswer, "not a search result"),
        (answer('<!DOCTYPE x [<!ENTITY a "b">]><SearchResult>&a;</SearchResult>'), UnreadableAnswer, "not XML"),
    ],
)
def test_failures_are_distinguished(given: CarrierAnswer, error: type[FulfilmentError], words: str) -> None:
    """A refusal, no answer and an unreadable answer each need another reaction."""
    with pytest.raises(error, match=words):
        inquire(MARKET.search(IN_919), given)


@pytest.mark.parametrize("body", ["<X/>", "<SearchResult/>", "<TNs>"])
def test_other_documents_are_unreadable(body: str) -> None:
    with pytest.raises(UnreadableAnswer):
        inquire(MARKET.restrictions(RestrictionsQuery("ITA")), answer(body))
    with pytest.raises(UnreadableAnswer):
        inquire(MARKET.number(A), answer(body))
    with pytest.raises(UnreadableAnswer):
        inquire(MARKET.numbers(InServiceQuery()), answer(body))
