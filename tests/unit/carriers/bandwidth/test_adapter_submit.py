"""Sending an order to Bandwidth, and what each answer to it means."""

from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import CarrierRequest, Purpose
from number_orders.orders.errors import NotOffered
from number_orders.orders.events import Acknowledged, AnswerLost, Event, NotSent, Refused
from number_orders.orders.model import Kind, Order, OrderRequest
from tests.unit.carriers.bandwidth.examples import (
    BANDWIDTH,
    HTML,
    ORDERS,
    REFERENCE,
    THEIRS,
    A,
    B,
    a_request,
    a_search,
    an_order,
    answered,
    error,
    lost,
    named,
    searched,
)
from tests.unit.carriers.conversations import converse

CREATED = (
    "<OrderResponse><Order><CustomerOrderId>{reference}</CustomerOrderId><Name>UK</Name>"
    "<OrderCreateDate>2024-09-05T23:34:31.553Z</OrderCreateDate><BackOrderRequested>false</BackOrderRequested>"
    "{id}<PartialAllowed>true</PartialAllowed><SiteId>743</SiteId></Order>{status}</OrderResponse>"
)


def created(order_id: str | None = THEIRS, status: str = "RECEIVED", reference: str = REFERENCE) -> str:
    return CREATED.format(
        reference=reference,
        id=f"<id>{order_id}</id>" if order_id else "",
        status=f"<OrderStatus>{status}</OrderStatus>" if status else "",
    )


def refused(*errors: str, inside: str = "") -> str:
    return (
        f"<OrderResponse><ErrorList>{''.join(errors)}</ErrorList>"
        f"<Order><CustomerOrderId>{REFERENCE}</CustomerOrderId>{inside}</Order></OrderResponse>"
    )


def sent(request: OrderRequest, adapter: Bandwidth = BANDWIDTH) -> tuple[CarrierRequest, Element]:
    post = next(adapter.submit(an_order(request)))
    assert isinstance(post, CarrierRequest)
    root: Element = fromstring(post.body)
    return post, root


def outcome(order: Order, status: int, body: bytes | str = b"", **headers: str) -> Event:
    event, asked = converse(BANDWIDTH.submit(order), answered(status, body, **headers))
    assert len(asked) == 1, "money is asked for once"
    return event


def test_named_numbers_are_sent_as_one_commit() -> None:
    post, root = sent(a_request(A, B))

    assert (post.method, post.path, post.purpose, post.query) == ("POST", ORDERS, Purpose.COMMIT, {})
    assert post.content_type == "application/xml"
    assert post.body.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    assert root.tag == "Order"
    assert root.findtext("CustomerOrderId") == REFERENCE
    assert [n.text for n in root.findall("ExistingTelephoneNumberOrderType/TelephoneNumberList/TelephoneNumber")] == [
        A,
        B,
    ]
    assert root.find("ExistingTelephoneNumberOrderType/ReservationIdList") is None


def test_the_reference_fits_the_field() -> None:
    assert len(REFERENCE) == 36
    assert str(UUID(REFERENCE)) == REFERENCE


def test_everything_of_the_envelope_is_sent() -> None:
    request = a_request(
        A,
        name="Müller & Söhne <west>",
        allow_partial=False,
        options={
            "site_id": 811,
            "peer_id": "500709",
            "voice_configuration_package_id": "d21315af-9b5b-4b45-a6f4-9106cbfe87d1",
            "requirements_package_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "auto_activate": False,
            "reservation_ids": ["r-1", "r-2"],
        },
    )

    _, root = sent(request)

    assert {child.tag: child.text for child in root if not len(child)} == {
        "CustomerOrderId": REFERENCE,
        "Name": "Müller & Söhne <west>",
        "SiteId": "811",
        "PeerId": "500709",
        "PartialAllowed": "false",
        "BackOrderRequested": "false",
        "VoiceConfigurationPackageId": "d21315af-9b5b-4b45-a6f4-9106cbfe87d1",
        "RequirementsPackageId": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "AutoActivate": "false",
    }
    held = root.findall("ExistingTelephoneNumberOrderType/ReservationIdList/ReservationId")
    assert [r.text for r in held] == ["r-1", "r-2"]


def test_defaults_that_matter_are_sent_and_no_others() -> None:
    _, root = sent(a_search(1, npa="919"))

    assert {child.tag: child.text for child in root if not len(child)} == {
        "CustomerOrderId": REFERENCE,
        "SiteId": "743",
        "PartialAllowed": "true",
        "BackOrderRequested": "false",
    }


def test_a_default_location_is_sent_unless_the_order_names_one() -> None:
    adapter = Bandwidth("9900000", "743", peer_id="11")

    assert sent(a_request(A), adapter)[1].findtext("PeerId") == "11"
    assert sent(a_request(A, options={"peer_id": "12"}), adapter)[1].findtext("PeerId") == "12"


SEARCHES: list[tuple[dict[str, Any], str, dict[str, str]]] = [
    ({"npa": "919"}, "AreaCodeSearchAndOrderType", {"AreaCode": "919"}),
    (
        {"rate_center": "RALEIGH", "state": "nc"},
        "RateCenterSearchAndOrderType",
        {"RateCenter": "RALEIGH", "State": "NC", "EnableLCA": "false"},
    ),
    (
        {"rate_center": "RALEIGH", "state": "NC", "local_calling_area": True},
        "RateCenterSearchAndOrderType",
        {"RateCenter": "RALEIGH", "State": "NC", "EnableLCA": "true"},
    ),
    ({"npa": "919", "nxx": "439"}, "NPANXXSearchAndOrderType", {"NpaNxx": "919439", "EnableLCA": "false"}),
    (
        {"npa": "919", "nxx": "439", "local_calling_area": True},
        "NPANXXSearchAndOrderType",
        {"NpaNxx": "919439", "EnableLCA": "true"},
    ),
    (
        {"npa": "919", "nxx": "439", "thousands_block": "0"},
        "NPANXXSearchAndOrderType",
        {"NpaNxxX": "9194390", "EnableLCA": "false"},
    ),
    ({"number_type": "toll_free", "vanity": "CASH"}, "TollFreeVanitySearchAndOrderType", {"TollFreeVanity": "CASH"}),
    (
        {"number_type": "toll_free", "toll_free_pattern": "83*"},
        "TollFreeWildCharSearchAndOrderType",
        {"TollFreeWildCardPattern": "83*"},
    ),
    ({"toll_free_pattern": "8**"}, "TollFreeWildCharSearchAndOrderType", {"TollFreeWildCardPattern": "8**"}),
    ({"country": "USA", "state": "NC"}, "StateSearchAndOrderType", {"State": "NC"}),
    ({"city": "RALEIGH", "state": "NC"}, "CitySearchAndOrderType", {"City": "RALEIGH", "State": "NC"}),
    ({"zip": "27601"}, "ZIPSearchAndOrderType", {"Zip": "27601"}),
    ({"lata": "426"}, "LATASearchAndOrderType", {"Lata": "426"}),
    (
        {"number_type": "local", "npa": "919", "city": "RALEIGH", "state": "NC", "lata": "426", "zip": "27601"},
        "CombinedSearchAndOrderType",
        {
            "AreaCode": "919",
            "City": "RALEIGH",
            "State": "NC",
            "Lata": "426",
            "Zip": "27601",
            "EnableLCA": "false",
        },
    ),
    (
        {
            "npa": "919",
            "nxx": "439",
            "thousands_block": "1",
            "rate_center": "RALEIGH",
            "state": "NC",
            "local_calling_area": True,
        },
        "CombinedSearchAndOrderType",
        {"NpaNxxX": "9194391", "RateCenter": "RALEIGH", "State": "NC", "EnableLCA": "true"},
    ),
    (
        {"vanity": "PIZZA", "npa": "919"},
        "CombinedSearchAndOrderType",
        {"AreaCode": "919", "LocalVanity": "PIZZA", "EndsIn": "false"},
    ),
    (
        {"vanity": "PIZZA", "state": "NC", "vanity_at_end": True},
        "CombinedSearchAndOrderType",
        {"State": "NC", "LocalVanity": "PIZZA", "EndsIn": "true"},
    ),
]


@pytest.mark.parametrize(("criteria", "kind", "fields"), SEARCHES)
def test_criteria_become_their_order_type(criteria: dict[str, Any], kind: str, fields: dict[str, str]) -> None:
    request = a_search(7, **criteria)

    _, root = sent(request)

    assert BANDWIDTH.check(request) == (), "only what check lets through is ever sent"
    searches = [child for child in root if len(child)]
    assert [search.tag for search in searches] == [kind]
    assert {field.tag: field.text for field in searches[0]} == {"Quantity": "7", **fields}


def test_a_backorder_is_asked_for() -> None:
    _, root = sent(a_search(2, npa="919", request={"allow_backorder": True}))

    assert root.findtext("BackOrderRequested") == "true"


def test_another_kind_of_order_is_never_sent() -> None:
    with pytest.raises(NotOffered, match="add_messaging_numbers"):
        next(BANDWIDTH.submit(an_order(a_request(A, kind=Kind.ADD_MESSAGING_NUMBERS))))


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_order_with_an_id_is_acknowledged(status: int) -> None:
    assert outcome(named(A), status, created()) == Acknowledged(THEIRS, "RECEIVED")


@pytest.mark.parametrize(
    ("body", "headers", "event"),
    [
        (created(None), {"location": f"https://api.bandwidth.com{ORDERS}/{THEIRS}"}, Acknowledged(THEIRS, "RECEIVED")),
        (b"", {"location": f"{ORDERS}/{THEIRS}/"}, Acknowledged(THEIRS)),
        (created(status=""), {"location": f"{ORDERS}/somebody-elses"}, Acknowledged(THEIRS)),
        (created(status="FAILED"), {}, Acknowledged(THEIRS, "FAILED")),
        (
            f'<o:OrderResponse xmlns:o="urn:x"><o:Order><o:Id>{THEIRS}</o:Id></o:Order></o:OrderResponse>',
            {},
            Acknowledged(THEIRS),
        ),
    ],
)
def test_the_order_id_is_read_from_body_or_location(body: bytes | str, headers: dict[str, str], event: Event) -> None:
    assert outcome(named(A), 201, body, **headers) == event


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (created(None), {}),
        (created("../../7"), {}),
        (created(None), {"location": f"{ORDERS}/../secrets?x"}),
        (created(None), {"location": "https://[broken"}),
        (created(None), {"location": f"https://api.bandwidth.com/api/v2/accounts/1/tns/{THEIRS}"}),
        (HTML, {"location": f"{ORDERS}/{THEIRS}"}),
        (b"<SearchResult/>", {}),
        (b"\x00\xff", {}),
        (created(reference="another"), {}),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><OrderResponse><Order><id>&b;</id></Order></OrderResponse>', {}),
    ],
)
def test_a_success_without_an_order_id_is_a_lost_answer(body: bytes | str, headers: dict[str, str]) -> None:
    assert isinstance(outcome(named(A), 201, body, **headers), AnswerLost)


def test_a_refusal_has_code_and_text_for_each_number() -> None:
    body = refused(error("5002", "is not valid", "9195550101"), error("5016", "Site is invalid"))

    assert outcome(named(A, B), 400, body) == Refused(
        "is not valid", "5002", numbers=(lost(A, "5016", "Site is invalid"), lost(B, "5002", "is not valid"))
    )


def test_a_number_that_a_refusal_does_not_name_was_not_bought_because_of_the_other() -> None:
    event = outcome(named(A, B), 400, refused(error("5002", "is not valid", B)))

    blamed = lost(A, None, f"not bought because of {B}: 5002: is not valid")
    assert event == Refused("is not valid", "5002", numbers=(blamed, lost(B, "5002", "is not valid")))


def test_a_refused_search_names_no_numbers() -> None:
    assert outcome(searched(3), 400, refused(error("5009", "Quantity must be 1 to 5000"))) == Refused(
        "Quantity must be 1 to 5000", "5009"
    )


def test_a_refusal_as_response_status_is_read_too() -> None:
    status = "<ErrorCode>5022</ErrorCode><Description>no site</Description>"
    body = f"<OrderResponse><ResponseStatus>{status}</ResponseStatus></OrderResponse>"

    assert outcome(searched(3), 400, body) == Refused("no site", "5022")


@pytest.mark.parametrize(
    "body",
    [
        refused(error("5086", "Order request timed out. Please resubmit")),
        refused(error("1000", "internal")),
        refused(error("1010", "internal")),
        refused(error("5003", "provisioning failed")),
        refused(error("5019", "pending")),
        refused(error("5022", "no site"), error("5086", "late")),
        refused(error("4242", "API request timed out. Please resubmit your request.")),
        b"API request timed out. Please resubmit your request.",
        refused(error(None, "something is wrong")),
        refused(error("oops", "something is wrong")),
        refused(error("5022", "no site"), inside=f"<id>{THEIRS}</id>"),
        refused(error("5022", "no site")).replace(REFERENCE, "another"),
        refused(),
        b"<Fault><Error><Code>5022</Code></Error></Fault>",
        b"",
        HTML,
        b"<OrderResponse><ErrorList>",
    ],
)
def test_a_400_that_may_have_made_an_order_is_a_lost_answer(body: bytes | str) -> None:
    assert isinstance(outcome(named(A), 400, body), AnswerLost)


@pytest.mark.parametrize("code", ["5005", "5218", "5042", "5043"])
def test_a_taken_number_is_a_refusal_and_after_a_loss_a_lost_answer(code: str) -> None:
    body = refused(error(code, "gone", A))

    assert outcome(named(A), 400, body) == Refused("gone", code, numbers=(lost(A, code, "gone"),))
    again = outcome(named(A, losses=1, sends=2), 400, body)
    assert isinstance(again, AnswerLost)
    assert "we already own it" in again.reason


@pytest.mark.parametrize(("status", "words"), [(401, "credentials"), (403, "role"), (404, "account")])
def test_an_authentication_error_means_not_sent(status: int, words: str) -> None:
    event = outcome(named(A), status)

    assert isinstance(event, NotSent)
    assert words in event.reason


@pytest.mark.parametrize("status", [100, 204, 301, 302, 307, 308, 402, 405, 408, 409, 413, 422, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", HTML, created(None).encode()])
def test_every_other_answer_is_a_lost_one(status: int, body: bytes) -> None:
    assert isinstance(outcome(named(A), status, body), AnswerLost)
