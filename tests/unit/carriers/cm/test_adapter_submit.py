"""Sending a number request to CM.com, and what each answer to it means."""

import json
from typing import Any

import pytest

from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose
from number_orders.carriers.found_content import content_digest
from number_orders.orders.errors import NoAnswer, NotOffered, UnreadableAnswer
from number_orders.orders.events import Acknowledged, AnswerLost, Event, NotSent, Refused
from number_orders.orders.model import Kind, OrderRequest
from tests.unit.carriers.cm.examples import (
    ACCOUNT,
    AMERICAN,
    CARRIER,
    COMMENT,
    DUTCH,
    HTML,
    PROFILES,
    REQUESTS,
    RESTRICTIONS,
    THEIRS,
    a_range,
    a_request,
    an_order,
    answered,
    in_america,
    restricted,
    shown,
)
from tests.unit.carriers.conversations import converse


def sent(request: OrderRequest, adapter: CM = CARRIER) -> tuple[CarrierRequest, dict[str, Any]]:
    """Return what is sent, after good answers to all questions before it."""
    conversation = adapter.submit(an_order(request))
    post = next(conversation)
    assert isinstance(post, CarrierRequest)
    if post.purpose is Purpose.READ:
        post = conversation.send(answered(200, restricted(10, 100)))
    assert isinstance(post, CarrierRequest)
    return post, json.loads(post.body)


def in_ranges(size: int, *answers: CarrierAnswer) -> tuple[Event, list[CarrierRequest]]:
    return converse(CARRIER.submit(an_order(a_request(200, range_size=size))), *answers)


def outcome(status: int, body: object = b"", **headers: str) -> Event:
    event, asked = converse(CARRIER.submit(an_order()), answered(status, body, **headers))
    assert len(asked) == 1, "money is asked for once"
    return event


def test_an_order_is_one_commit_with_only_what_was_ordered() -> None:
    post, body = sent(a_request())

    assert (post.method, post.path, post.purpose, post.query) == ("POST", REQUESTS, Purpose.COMMIT, {})
    assert (post.content_type, post.accept) == ("application/json", "application/json")
    assert body == {
        "companyProfileGuid": DUTCH,
        "quantity": 2,
        "phoneNumberType": "LOCAL",
        "areaCode": "020",
        "comment": f"{COMMENT} content:{content_digest(a_request())}",
    }


def test_everything_that_can_be_ordered_is_sent() -> None:
    _, body = sent(in_america(200, range_size=100, notes="group 7\nIP 192.0.2.1"))

    assert body == {
        "companyProfileGuid": AMERICAN,
        "quantity": 200,
        "rangeSize": 100,
        "phoneNumberType": "LOCAL",
        "areaCode": "919",
        "region": "North Carolina",
        "comment": f"{COMMENT} content:{content_digest(in_america(200))}\ngroup 7\nIP 192.0.2.1",
    }


def test_the_callback_url_is_sent_if_it_is_set() -> None:
    _, body = sent(a_request(), CM(ACCOUNT, PROFILES, callback_url="https://numbers.example/cm"))
    assert body["callbackUrl"] == "https://numbers.example/cm"


def test_range_sizes_are_asked_for_before_a_range_is_sent() -> None:
    event, (question, post) = in_ranges(100, answered(200, restricted(10, 100)), answered(200, shown()))

    assert event == Acknowledged(THEIRS, "created")
    assert (question.method, question.path, question.purpose) == ("GET", RESTRICTIONS, Purpose.READ)
    assert question.query == {"companyProfileGuid": DUTCH, "phoneNumberType": "LOCAL"}
    assert (post.method, post.path, post.purpose) == ("POST", REQUESTS, Purpose.COMMIT)


@pytest.mark.parametrize(
    ("sizes", "rule"),
    [
        ((10, 50), "range_size: must be one of 10, 50: CM.com has no other ranges of local numbers of NLD"),
        ((), "range_size: is not offered: CM.com has no ranges of local numbers of NLD"),
    ],
)
def test_a_range_size_that_is_not_allowed_is_refused_and_nothing_is_sent(sizes: tuple[int, ...], rule: str) -> None:
    event, requests = in_ranges(100, answered(200, restricted(*sizes)))
    assert (event, len(requests)) == (Refused(rule), 1)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_without_restrictions_nothing_is_sent(status: int) -> None:
    with pytest.raises(NoAnswer):
        in_ranges(100, answered(status, {"message": "no"}))


@pytest.mark.parametrize("body", [b"{", [], restricted(phoneNumberType="NATIONAL"), [{"phoneNumberType": "LOCAL"}]])
def test_unreadable_restrictions_refuse_no_order(body: object) -> None:
    with pytest.raises(UnreadableAnswer):
        in_ranges(100, answered(200, body))


def test_a_city_without_an_area_code_is_sent() -> None:
    _, body = sent(a_request(criteria={"npa": None, "city": "'s-Gravenhage"}))
    assert (body["city"], "areaCode" in body) == ("'s-Gravenhage", False)


def test_another_kind_of_order_is_a_mistake() -> None:
    with pytest.raises(NotOffered):
        next(CARRIER.submit(an_order(a_request(kind=Kind.REMOVE_NUMBERS))))


def test_without_its_company_profile_an_order_is_not_sent() -> None:
    with pytest.raises(StopIteration) as end:
        next(CM(ACCOUNT, {}).submit(an_order()))
    assert end.value.value == NotSent("no company profile is set up for NLD:local any more")


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_answer_with_a_guid_is_acknowledged(status: int) -> None:
    assert outcome(status, shown("created", a_range(None, 2))) == Acknowledged(THEIRS, "created")


def test_guids_are_compared_without_case() -> None:
    assert outcome(200, shown(guid=THEIRS.upper())) == Acknowledged(THEIRS, "created")


def test_a_request_without_status_or_comment_is_acknowledged_too() -> None:
    assert outcome(200, {"guid": THEIRS}) == Acknowledged(THEIRS, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        HTML,
        [a_range(None, 2)],
        shown(guid=None),
        shown(guid="../numberRequests"),
        shown(guid=7),
        shown(comment="number-orders:0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e00"),
        shown(comment="somebody else's"),
        shown("created", {"start": "soon"}),
        shown(ranges="none"),
    ],
)
def test_a_success_without_our_request_is_a_lost_answer(body: object) -> None:
    assert isinstance(outcome(200, body), AnswerLost)


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (
            {"message": "Invalid range", "messageCode": "RANGE", "messageDetail": "200 is not allowed"},
            Refused("Invalid range; 200 is not allowed", "RANGE"),
        ),
        ({"message": "No", "messageCode": 17}, Refused("No", "17")),
        (
            {"title": "One or more validation errors occurred.", "status": 400, "errors": {"quantity": ["too many"]}},
            Refused("One or more validation errors occurred.; quantity: too many"),
        ),
    ],
)
def test_a_refusal_has_the_carriers_words(status: int, body: object, refused: Refused) -> None:
    assert outcome(status, body) == refused


@pytest.mark.parametrize(
    "body",
    [b"", HTML, b"[]", {"message": ""}, {"message": None, "messageCode": "X"}, {"guid": THEIRS, "message": "created"}]
    + [{"message": words} for words in ("The request timed out", "Timeout at the database", "time-out")],
)
def test_a_400_that_may_have_made_a_request_is_a_lost_answer(body: object) -> None:
    assert isinstance(outcome(400, body), AnswerLost)


@pytest.mark.parametrize(("status", "mend"), [(401, "token"), (403, "token"), (404, "account")])
def test_a_configuration_error_means_not_sent(status: int, mend: str) -> None:
    event = outcome(status, {"message": "no"})
    assert isinstance(event, NotSent)
    assert mend in event.reason


@pytest.mark.parametrize("status", [301, 408, 409, 500, 502, 503, 504])
def test_every_other_status_is_a_lost_answer(status: int) -> None:
    assert isinstance(outcome(status, {"message": "no"}), AnswerLost)
