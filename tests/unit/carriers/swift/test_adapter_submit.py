"""Sending an order to Swift: what is sent and saved in which order, and what each answer means."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, KnownNumbers, Purpose, SaveProgress
from number_orders.carriers.found_content import content_digest
from number_orders.carriers.swift.adapter import Swift
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, AnswerLost, Deferred, Event, NotSent, Refused
from number_orders.orders.model import CarrierOrderId, Kind, OrderRequest
from tests.unit.carriers.swift.examples import (
    ACCOUNT,
    CARRIER,
    CART,
    CHECKED_OUT,
    HTML,
    NOW,
    ONE,
    REFERENCE,
    SINCE,
    SUB,
    THEIRS,
    TWO,
    added,
    an_order,
    answered,
    cart,
    converse,
    did,
    listed,
    naming,
    new_numbers,
    refusal,
    removal,
    shown,
)

KNOWN = KnownNumbers(NOW, held_since={ONE: SINCE, TWO: SINCE})


def sent(request: OrderRequest) -> tuple[list[CarrierRequest], list[dict[str, Any]]]:
    event, asked, _ = converse(CARRIER.submit(an_order(request)), cart(), added(), shown())
    assert event == Acknowledged(THEIRS, "NEW")
    return asked, [json.loads(request.body) for request in asked[:2]]


def checkout(answer: CarrierAnswer, *more: KnownNumbers, request: OrderRequest | None = None, losses: int = 0) -> Event:
    order = an_order(request, progress=CHECKED_OUT | {"part": [ONE]}, losses=losses)
    return converse(CARRIER.submit(order), answer, *more)[0]


def test_an_order_is_a_cart_a_request_and_one_commit() -> None:
    criteria = {"npa": "919", "nxx": "555", "lata": "426", "state": "NC", "rate_center": "RALEIGH", "country": "USA"}
    asked, (made, wished) = sent(new_numbers(5, criteria=criteria, notes="for Ana", name="Spring"))

    assert [(one.method, one.path, one.purpose) for one in asked] == [
        ("POST", "/api/v1/carts", Purpose.PREPARE),
        ("POST", f"/api/v1/carts/{CART}/requests", Purpose.PREPARE),
        ("POST", f"/api/v1/carts/{CART}/checkout", Purpose.COMMIT),
    ]
    assert {one.accept for one in asked} == {"application/json, text/plain"}
    name = f"number-orders {REFERENCE} n{content_digest(new_numbers(5, criteria=criteria))}"
    data = {"name": f"{name} Spring", "notes": "for Ana", "reference_id": REFERENCE}
    assert made == {"type": "cart", "data": data}
    numbers = {"quantity": 5, "number_type": "tendlc", "country_code": "1", **criteria}
    del numbers["country"]
    assert wished == {
        "type": "cart_request",
        "data": {"name": name, "notes": "for Ana", "type": "NEW_NUMBERS", "data": numbers},
    }
    assert asked[2].body == b""


def test_only_what_was_ordered_is_sent() -> None:
    _, (made, wished) = sent(new_numbers(1, criteria={}))
    assert "notes" not in made["data"]
    assert wished["data"]["data"] == {"quantity": 1, "number_type": "tendlc"}


def test_messaging_numbers_are_sent_without_a_plus_with_their_options() -> None:
    options = {"mms_enabled": True, "api_key_ids": ["01KBC4VZE1CFMG5MAB089000001"]}
    _, (_, wished) = sent(naming(Kind.ADD_MESSAGING_NUMBERS, ONE, TWO, options=options, notes="n"))
    assert wished["data"]["type"] == "ADD_MESSAGING_NUMBERS"
    assert wished["data"]["data"] == {"numbers": ["19195550101", "19195550102"], **options}
    assert wished["data"]["notes"] == "n"


def test_removals_send_numbers_without_a_plus() -> None:
    order = an_order(removal(ONE, TWO))
    _, asked, _ = converse(CARRIER.submit(order), KNOWN, listed(), cart(), added(), shown())
    wished = json.loads(asked[2].body)
    assert wished["data"]["type"] == "REMOVE_NUMBERS"
    assert wished["data"]["data"] == {"numbers": ["19195550101", "19195550102"]}


def test_a_sub_account_has_paths_of_its_own() -> None:
    asked, _ = sent(new_numbers(account=SUB))
    root = f"/api/v1/accounts/{SUB}/carts"
    assert [one.path for one in asked] == [root, f"{root}/{CART}/requests", f"{root}/{CART}/checkout"]


def test_every_step_is_saved_before_the_next() -> None:
    conversation = CARRIER.submit(an_order())
    next(conversation)
    first = conversation.send(cart())
    assert isinstance(first, SaveProgress)
    assert first.progress == {name: value for name, value in CHECKED_OUT.items() if name != "requested"}
    request = next(conversation)
    assert isinstance(request, CarrierRequest)
    assert request.path.endswith("/requests")
    second = conversation.send(added())
    assert isinstance(second, SaveProgress)
    assert second.progress == CHECKED_OUT
    commit = next(conversation)
    assert isinstance(commit, CarrierRequest)
    assert commit.purpose is Purpose.COMMIT


def test_a_cart_with_a_saved_request_is_checked_out() -> None:
    event, asked, kept = converse(CARRIER.submit(an_order(progress=CHECKED_OUT)), shown())
    assert (event, [one.path for one in asked], kept) == (
        Acknowledged(THEIRS, "NEW"),
        [f"/api/v1/carts/{CART}/checkout"],
        [],
    )


def test_a_cart_without_a_saved_request_is_abandoned() -> None:
    order = an_order(progress={"cart_id": "01K0000000000000000000OLD", "since": SINCE.isoformat()})
    event, asked, _ = converse(CARRIER.submit(order), cart(), added(), shown())
    assert event == Acknowledged(THEIRS, "NEW")
    assert len(asked) == 3


def test_a_201_with_the_carts_id_means_the_request_is_in() -> None:
    """Only the 201 counts, whether the body is as printed or not."""
    for answer in (added(), added(id="x", type="REMOVE_NUMBERS"), answered(201), replace(added(), status=200)):
        assert converse(CARRIER.submit(an_order()), cart(), answer, shown())[0] == Acknowledged(THEIRS, "NEW")


def test_a_gateways_200_puts_nothing_into_a_cart() -> None:
    with pytest.raises(UnreadableAnswer):
        converse(CARRIER.submit(an_order()), cart(), answered(200, HTML))


def test_the_checkouts_answer_has_the_order_id() -> None:
    named = CarrierOrderId("01KBC4VZE1CFMG5MAB08900000")
    assert checkout(shown("PROCESSING", id=named)) == Acknowledged(named, "PROCESSING")


@pytest.mark.parametrize("answer", [answered(401), answered(403), answered(403, {"errors": {"detail": "no"}})])
def test_a_refused_api_key_means_not_sent(answer: CarrierAnswer) -> None:
    for conversation in (CARRIER.submit(an_order()), CARRIER.submit(an_order(progress=CHECKED_OUT))):
        event, _, _ = converse(conversation, answer)
        assert isinstance(event, NotSent)
        assert "API key" in event.reason
    assert isinstance(converse(CARRIER.submit(an_order()), cart(), answer)[0], NotSent)


def test_a_refused_api_key_is_never_counted() -> None:
    for before in ((), (cart(),)):
        _, _, kept = converse(CARRIER.submit(an_order()), *before, answered(401))
        assert all("refusals" not in saved for saved in kept)


def test_an_unknown_account_is_refused_or_means_not_sent() -> None:
    event, _, _ = converse(CARRIER.submit(an_order(new_numbers(account=SUB))), refusal("Not Found", 404))
    assert event == Refused(f"Swift knows no account {SUB} of this API key", "404")
    assert isinstance(converse(CARRIER.submit(an_order()), answered(404))[0], NotSent)


def test_a_refused_request_has_swifts_words() -> None:
    errors = {"errors": {"quantity": ["must be less", "than 100"], "detail": "no"}}
    event, _, _ = converse(CARRIER.submit(an_order()), cart(), answered(422, errors))
    assert event == Refused("quantity: must be less; quantity: than 100; no", "422")
    order = an_order(naming(Kind.ADD_MESSAGING_NUMBERS, ONE))
    event, _, _ = converse(CARRIER.submit(order), cart(), refusal("not enabled", 403))
    assert isinstance(event, Refused)
    assert [number.code for number in event.numbers] == ["403"]


ENVELOPED = {"data": {"detail": "the request is invalid", "errors": ["quantity invalid"]}, "type": "error"}
SHAPES: dict[str, tuple[object, str]] = {
    "flat": ({"detail": "quantity invalid"}, "quantity invalid"),
    "by field": ({"errors": {"quantity": ["is invalid"]}}, "quantity: is invalid"),
    "enveloped": (ENVELOPED, "the request is invalid; quantity invalid"),
    "enveloped by field": ({"type": "error", "data": {"errors": {"quantity": ["bad"]}}}, "quantity: bad"),
    "with associations": ({"associations": {"account": {"data": {"id": "01K"}}}, **ENVELOPED},
                          "the request is invalid; quantity invalid"),
    "in the envelope of a cart": ({"type": "cart", "data": {"errors": ["name missing"]}}, "name missing"),
    "nested": ({"error": {"error": {"message": {"data": [{"title": "deep"}]}}}}, "deep"),
    "a list": ([{"detail": "one"}, "two"], "one; two"),
    "one JSON text": ("quantity invalid", "quantity invalid"),
    "plain text": (b"quantity invalid\n", "quantity invalid"),
}  # fmt: skip


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_refusal_is_read_in_every_shape_at_every_step(shape: str, status: int) -> None:
    body, words = SHAPES[shape]
    answer = answered(status, body)
    for before in ((), (cart(),), (cart(), added())):
        event, _, _ = converse(CARRIER.submit(an_order()), *before, answer)
        assert event == Refused(words, str(status))


@pytest.mark.parametrize(
    "body", [b"", HTML, b"{", b"[]", b"{}", b"null", b"\xff\xfe", b"17", b"[" * 5000, b"\x00ab", b"<Error>no</Error>"]
)
def test_what_has_no_words_is_no_refusal(body: bytes) -> None:
    assert isinstance(checkout(answered(422, body)), AnswerLost)
    assert isinstance(converse(CARRIER.submit(an_order()), answered(422, body))[0], NotSent)


def test_an_order_in_a_refusal_is_no_refusal() -> None:
    """It may be the order that an earlier checkout made."""
    assert isinstance(checkout(answered(422, json.loads(shown("NEW").body))), AnswerLost)


def refused_again_and_again(*before: CarrierAnswer, answers: list[CarrierAnswer]) -> list[Event]:
    """Submit as often as there are answers, each time from what was saved."""
    events: list[Event] = []
    progress: Mapping[str, object] = {}
    for answer in answers:
        event, _, kept = converse(CARRIER.submit(an_order(progress=progress)), *before, answer)
        progress = kept[-1]
        events.append(event)
    return events


@pytest.mark.parametrize("before", [(), (cart(),)])
@pytest.mark.parametrize("status", [402, 409, 410, 413, 415, 451])
def test_the_same_refusal_before_the_checkout_is_believed_the_third_time(
    status: int, before: tuple[CarrierAnswer, ...]
) -> None:
    first, second, third = refused_again_and_again(*before, answers=[answered(status, ENVELOPED)] * 3)
    words = f"HTTP {status}: the request is invalid; quantity invalid"
    assert first == second == NotSent(words)
    assert third == Refused(f"{words} (refused 3 times before anything was ordered)", str(status))


def test_a_refused_request_of_an_accepted_cart_is_believed_in_the_end() -> None:
    for answer in (answered(404), answered(403, ENVELOPED)):
        events = refused_again_and_again(cart(), answers=[answer] * 3)
        assert [type(event) for event in events] == [NotSent, NotSent, Refused]


def test_ever_new_refusals_and_refusals_without_words_are_believed_the_tenth_time() -> None:
    for answers in ([answered(422)] * 10, [refusal(f"trace {n}", 409) for n in range(10)]):
        events = refused_again_and_again(cart(), answers=answers)
        assert [type(event) for event in events] == [NotSent] * 9 + [Refused]


def test_refusals_are_forgotten_when_the_request_is_in() -> None:
    order = an_order(progress={"refusals": ["no", "no"]})
    _, _, kept = converse(CARRIER.submit(order), cart(), added(), shown())
    assert kept[0]["refusals"] == ["no", "no"]
    assert kept[-1] == CHECKED_OUT


@pytest.mark.parametrize(
    "answer",
    [answered(500), answered(408), answered(425), answered(302), refusal("request timed out", 400), answered(503)],
)
def test_before_the_checkout_a_passing_trouble_is_no_answer(answer: CarrierAnswer) -> None:
    with pytest.raises(NoAnswer):
        converse(CARRIER.submit(an_order()), answer)
    with pytest.raises(NoAnswer):
        converse(CARRIER.submit(an_order()), cart(), answer)


@pytest.mark.parametrize("changes", [{"id": None}, {"id": "../carts"}, {"inserted_at": "soon"}, {"inserted_at": 7}])
def test_a_cart_without_id_or_date_is_unreadable(changes: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAnswer):
        converse(CARRIER.submit(an_order()), cart(**changes))


@pytest.mark.parametrize(
    "answer",
    [
        answered(200, b"{"),
        answered(200, b""),
        answered(200, HTML),
        cart(),
        shown(id=None),
        shown(id="../x"),
        shown(reference_id="0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e00"),
        answered(409),
        answered(408),
        answered(422),
        answered(400, HTML),
        refusal("request timed out", 400),
        refusal("cart is already checked out"),
        answered(301),
        answered(500),
        answered(503),
    ],
)
def test_a_checkout_without_a_clear_answer_is_lost(answer: CarrierAnswer) -> None:
    assert isinstance(checkout(answer), AnswerLost)


def test_a_refused_checkout_is_lost_if_an_earlier_one_may_have_succeeded() -> None:
    assert checkout(refusal("no credit")) == Refused("no credit", "422")
    assert isinstance(checkout(refusal("no credit"), losses=1), AnswerLost)


def test_a_missing_cart_is_lost_if_an_earlier_checkout_may_have_succeeded() -> None:
    event, _, kept = converse(CARRIER.submit(an_order(progress=CHECKED_OUT)), answered(404))
    assert isinstance(event, NotSent)
    assert kept == [{}]
    event, _, kept = converse(CARRIER.submit(an_order(progress=CHECKED_OUT, losses=1)), answered(404))
    assert isinstance(event, AnswerLost)
    assert kept == []


def test_a_missing_empty_cart_is_forgotten() -> None:
    event, _, kept = converse(CARRIER.submit(an_order()), cart(), answered(404))
    assert isinstance(event, NotSent)
    assert "cart_id" not in kept[-1]


def test_a_place_name_is_not_a_taint_refusal() -> None:
    """A purchase has no window to wait for, and would wait for ever."""
    said = "rate_center: Tainter Lake is unknown"
    assert converse(CARRIER.submit(an_order()), cart(), refusal(said))[0] == Refused(said, "422")
    assert converse(CARRIER.submit(an_order()), cart(), added(), refusal(said))[0] == Refused(said, "422")


@pytest.mark.parametrize("at_checkout", [True, False])
@pytest.mark.parametrize("words", ["numbers are tainted: 19195550101", "Tainted"])
def test_a_removal_refused_as_tainted_waits_a_whole_window(at_checkout: bool, words: str) -> None:
    answers = (added(), refusal(words)) if at_checkout else (refusal(words),)
    order = an_order(removal(ONE, TWO))
    event, _, _ = converse(CARRIER.submit(order), KNOWN, listed(), cart(), *answers, KnownNumbers(NOW))
    assert isinstance(event, Deferred)
    assert (event.not_before - NOW).total_seconds() == 1860
    assert {number.code for number in event.numbers} == {"TAINTED"}
    assert words in event.reason


OTHER_SUB = "01K3S620PA5JPWPR10F0000002"
UNKNOWN, KNOWN_OWN = CARRIER, Swift(ACCOUNT)


def test_only_orders_by_criteria_need_a_serial_lock() -> None:
    for carrier in (UNKNOWN, KNOWN_OWN):
        assert carrier.serial_keys(removal()) == ()
        assert carrier.serial_keys(naming(Kind.ADD_MESSAGING_NUMBERS)) == ()


def test_the_serial_keys_name_every_account_that_may_be_meant() -> None:
    assert UNKNOWN.serial_keys(new_numbers()) == ("new_numbers",)
    assert UNKNOWN.serial_keys(new_numbers(account=SUB)) == ("new_numbers", f"new_numbers:{SUB}")
    own = ("new_numbers", f"new_numbers:{ACCOUNT}")
    assert KNOWN_OWN.serial_keys(new_numbers()) == KNOWN_OWN.serial_keys(new_numbers(account=ACCOUNT)) == own
    assert KNOWN_OWN.serial_keys(new_numbers(account=SUB)) == (f"new_numbers:{SUB}",)


@pytest.mark.parametrize("before", [UNKNOWN, KNOWN_OWN])
@pytest.mark.parametrize("after", [UNKNOWN, KNOWN_OWN])
@pytest.mark.parametrize("in_flight", [None, ACCOUNT, SUB])
@pytest.mark.parametrize("next_one", [None, ACCOUNT, SUB, OTHER_SUB])
def test_two_orders_for_one_account_always_share_a_serial_key(
    before: Swift, after: Swift, in_flight: str | None, next_one: str | None
) -> None:
    """Also if the own account becomes known, or unknown again, while the first of them is in flight."""
    shared = {*before.serial_keys(new_numbers(account=in_flight))} & {*after.serial_keys(new_numbers(account=next_one))}
    if (in_flight or ACCOUNT) == (next_one or ACCOUNT):
        assert shared
    if before is after is KNOWN_OWN:  # different accounts buy side by side
        assert bool(shared) is ((in_flight or ACCOUNT) == (next_one or ACCOUNT))


WAITING = CHECKED_OUT | {"part": [ONE]}
BEFORE = -timedelta(days=1)


def test_the_cart_of_a_removal_is_checked_out_if_its_numbers_are_the_same() -> None:
    held = KnownNumbers(NOW, held_since={ONE: SINCE})
    order = an_order(removal(ONE), progress=WAITING, losses=1)
    event, asked, kept = converse(CARRIER.submit(order), held, listed(did(ONE, after=BEFORE)), shown())
    assert (event, [one.path for one in asked], kept) == (
        Acknowledged(THEIRS, "NEW"),
        ["/api/v1/dids", f"/api/v1/carts/{CART}/checkout"],
        [],
    )


@pytest.mark.parametrize(
    ("progress", "listed_after"),
    [(WAITING, timedelta(minutes=1)), (WAITING | {"unlisted": [ONE]}, -timedelta(minutes=1))],
    ids=["it came since", "it was not listed then"],
)
def test_the_cart_of_a_removal_is_abandoned_if_a_number_came_since(
    progress: dict[str, object], listed_after: timedelta
) -> None:
    """Its age is looked up again, by a new cart's time, and the removal waits."""
    old, new = KnownNumbers(NOW), cart(id="01K0000000000000000000NEW")
    dids = listed(did(ONE, after=listed_after))
    event, asked, _ = converse(CARRIER.submit(an_order(removal(ONE), progress=progress)), old, dids, old, dids, new)
    assert isinstance(event, Deferred)
    assert all(request.purpose is not Purpose.COMMIT for request in asked)


@pytest.mark.parametrize(
    "known",
    [KnownNumbers(NOW, held_since={ONE: NOW + timedelta(minutes=5)}), KnownNumbers(NOW, awaited=frozenset({ONE}))],
    ids=["brought since", "still to be brought"],
)
def test_the_cart_of_a_removal_is_abandoned_if_another_order_brings_a_number(known: KnownNumbers) -> None:
    event, asked, _ = converse(CARRIER.submit(an_order(removal(ONE), progress=WAITING)), known, known)
    assert (type(event), asked) == (Deferred, [])
