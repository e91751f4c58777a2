"""CM.com's page "Create Number Request" prints fields without names: ours have the same number, order and types."""

import json
from dataclasses import replace
from typing import Any, Final

from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.cm.facts import RequestField
from number_orders.carriers.contract import CarrierRequest
from number_orders.orders.events import Acknowledged, StillOpen
from tests.contract.samples.conftest import Send
from tests.contract.samples.index import Role, of, sample
from tests.contract.samples.shapes import first_request
from tests.unit.carriers.cm.examples import (
    ACCOUNT,
    CARRIER,
    PROFILES,
    a_request,
    an_order,
    answered,
    in_america,
    restricted,
)
from tests.unit.carriers.conversations import converse

FIELDS: Final = "cm/01-fields.json"
_ORDER: Final = (
    RequestField.PROFILE,
    RequestField.QUANTITY,
    RequestField.RANGE_SIZE,
    RequestField.TYPE,
    RequestField.AREA_CODE,
    RequestField.CITY,
    RequestField.REGION,
    RequestField.COMMENT,
    RequestField.CALLBACK,
)
"""As we assume that the fields are called, in the page's order."""
CALLED: Final = CM(ACCOUNT, PROFILES, callback_url="https://us.example/cm")
_IS: Final[dict[str, type]] = {"uuid": str, "int32": int, "string enum": str, "string | null": str}
_PROFILE: Final = b"0c0ffee0-0000-4000-8000-000000000031"
_ACCOUNT: Final = "0c0ffee0-0000-4000-8000-00000000acc0"


def facts() -> dict[str, Any]:
    """Return what the page prints."""
    read: dict[str, Any] = json.loads(sample(FIELDS).body)
    return read


def written(**more: Any) -> dict[str, Any]:
    """Return the body that our adapter writes for an order."""
    read: dict[str, Any] = json.loads(first_request(CARRIER.submit(an_order(a_request(**more)))).body)
    return read


def test_the_page_prints_no_other_body() -> None:
    assert of("cm", Role.FIELDS) == {FIELDS}
    assert of("cm", Role.ANSWER) == of("cm", Role.REQUEST) == set()


def test_our_fields_match_the_pages_in_number_and_type() -> None:
    request = in_america(quantity=10, range_size=10, notes="distribution group 7")
    assert request.criteria
    everything = replace(request, criteria=replace(request.criteria, city="Raleigh"))
    conversation = CALLED.submit(an_order(everything))
    first_request(conversation)  # which range sizes are allowed
    posted = conversation.send(answered(200, restricted(10, countryCode="US")))
    assert isinstance(posted, CarrierRequest)
    body = json.loads(posted.body)

    listed = facts()["fields"]
    assert set(body) == set(_ORDER)
    assert len(listed) == len(_ORDER)
    types = {name: _IS[field["type"]] for name, field in zip(_ORDER, listed, strict=True)}
    assert [name for name in body if not isinstance(body[name], types[name])] == []


def test_a_region_is_sent_in_north_america_where_the_page_requires_it() -> None:
    body = json.loads(first_request(CARRIER.submit(an_order(in_america()))).body)
    assert body[RequestField.REGION] == "North Carolina"
    assert CARRIER.check(in_america()) == ()
    assert [fault.field for fault in CARRIER.check(a_request(criteria={"country": "USA", "npa": "919"}))] == [
        "criteria.state"
    ]


def test_one_to_a_thousand_as_the_page_says() -> None:
    assert CARRIER.check(a_request(1)) == CARRIER.check(a_request(1000)) == ()
    assert [fault.field for quantity in (0, 1001) for fault in CARRIER.check(a_request(quantity))] == ["quantity"] * 2


def test_the_sandbox_accepts_our_request_and_answers_without_numbers(send: Send) -> None:
    body = json.dumps(written()).encode().replace(written()[RequestField.PROFILE].encode(), _PROFILE)
    answer = send(sample(FIELDS).line, body, accountGuid=_ACCOUNT)
    assert answer.status_code == 200
    for one in answer.json()["ranges"]:
        assert [one[name] for name in facts()["null_in_the_answer"]] == [None] * 4

    said = answered(200, answer.content)
    event, _ = converse(CARRIER.submit(an_order(a_request())), said)
    assert event == Acknowledged(answer.json()["guid"], "NEW")
    event, _ = converse(CARRIER.ask(an_order(a_request(), carrier_order_id=answer.json()["guid"])), said)
    assert isinstance(event, StillOpen)
    assert event.numbers == ()
