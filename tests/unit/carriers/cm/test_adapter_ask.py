"""Asking CM.com for the status of a number request, and what each answer means."""

from datetime import UTC, datetime
from typing import Any

import pytest

from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.cm.facts import StatusMeaning
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose
from number_orders.orders.errors import Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    Event,
    Filled,
    FilledWithErrors,
    Parked,
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import NumberState, Order
from tests.unit.carriers.cm.examples import (
    ACCOUNT,
    CARRIER,
    COMMENT,
    HTML,
    OTHER,
    PROFILES,
    REQUESTS,
    THEIRS,
    a_range,
    a_request,
    acquired,
    an_order,
    answered,
    in_america,
    shown,
)
from tests.unit.carriers.conversations import converse

A, B, C = "+31201234560", "+31201234561", "+31201234562"


def asked(answer: CarrierAnswer, order: Order | None = None, adapter: CM = CARRIER) -> Event:
    event, requests = converse(adapter.ask(order or an_order()), answer)
    (get,) = requests
    assert (get.method, get.path, get.purpose) == ("GET", f"{REQUESTS}/{THEIRS}", Purpose.READ)
    return event


def stands(status: object, *ranges: dict[str, Any], order: Order | None = None, **more: Any) -> Event:
    return asked(answered(200, shown(status, *ranges, **more)), order)


@pytest.mark.parametrize(
    "status", ["created", "NEW", "Pending", "accepted", "InProgress", "in_progress", "In progress"]
)
def test_an_open_request_is_asked_about_slowly(status: str) -> None:
    assert stands(status, a_range(None, 2)) == StillOpen(status, slow=True)


def test_an_open_request_shows_its_numbers_so_far() -> None:
    assert stands("accepted", a_range(A), a_range(None), statusReason="one to come") == StillOpen(
        "accepted", acquired(A), "one to come", slow=True
    )


@pytest.mark.parametrize("status", ["PONDERING", "partiallyCompleted", 3, "done?"])
def test_an_unknown_status_is_open_and_marked(status: object) -> None:
    assert stands(status, a_range(A, 2)) == StillOpen(str(status), acquired(A, B), slow=True, unheard_of=True)


@pytest.mark.parametrize("status", ["Done", "DONE", 4, "created"])
def test_settings_add_and_override_status_words(status: object) -> None:
    adapter = CM(ACCOUNT, PROFILES, statuses=dict.fromkeys(("done", "4", "Created"), StatusMeaning.COMPLETED))
    event = asked(answered(200, shown(status, a_range(A, 2))), adapter=adapter)
    assert event == Filled(str(status), acquired(A, B))


@pytest.mark.parametrize(
    "ranges",
    [
        [a_range(A, 2)],
        [a_range("31201234560", 2)],
        [a_range("0031201234560", 2)],
        [a_range(31201234560, 2)],
        [a_range(A), a_range(B)],
        [a_range(A, None), {"start": B}],
    ],
)
def test_numbers_are_read_from_ranges_and_singles(ranges: list[dict[str, Any]]) -> None:
    assert stands("completed", *ranges) == Filled("completed", acquired(A, B))


@pytest.mark.parametrize("start", ["+19195550100", "19195550100", "9195550100", 9195550100])
def test_american_numbers_may_come_without_their_country(start: object) -> None:
    order = an_order(in_america(2))
    assert stands("completed", a_range(start, 2), order=order) == Filled(
        "completed", acquired("+19195550100", "+19195550101")
    )


@pytest.mark.parametrize("ranges", [[a_range(A)], [a_range(A), a_range(None)]])
@pytest.mark.parametrize(("said", "reason"), [(None, "the carrier assigned 1 of 2 numbers"), ("sold out", "sold out")])
@pytest.mark.parametrize("before", [None, "accepted", "Completed"])
def test_completed_with_fewer_numbers_is_reported_as_it_is_shown(
    ranges: list[dict[str, Any]], said: str | None, reason: str, before: str | None
) -> None:
    """Whether it is believed yet, the lane decides: here nothing depends on what was seen before."""
    event = stands("completed", *ranges, order=an_order(carrier_status=before), statusReason=said)
    assert event == PartlyFilled("completed", acquired(A), reason)


@pytest.mark.parametrize(
    ("ranges", "before"),
    [
        ([], "completed"),
        ([a_range(None, 2)], "completed"),
        ([a_range(None, 2)], None),
    ],
)
def test_completed_without_any_number_is_open(ranges: list[dict[str, Any]], before: str | None) -> None:
    event = stands("completed", *ranges, order=an_order(carrier_status=before))
    assert isinstance(event, StillOpen)
    assert event.slow
    assert "of 2 numbers so far" in (event.detail or "")


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ([a_range(A, 3)], "3 numbers where 2"),
        ([a_range(A), a_range(A)], "twice"),
        ([a_range(A, 2), a_range(B)], "twice"),
    ],
)
def test_completed_that_contradicts_itself_ends_with_errors(ranges: list[dict[str, Any]], words: str) -> None:
    event = stands("completed", *ranges)
    assert isinstance(event, FilledWithErrors)
    assert words in event.reason


@pytest.mark.parametrize("word", ["cancelled", "Canceled"])
def test_a_request_cancelled_by_cm_is_refused(word: str) -> None:
    assert stands(word) == Refused("cancelled at the carrier", carrier_status=word)
    assert stands(word, statusReason="by you") == Refused("cancelled at the carrier: by you", carrier_status=word)


def test_a_rejected_request_is_refused_with_its_reason() -> None:
    assert stands("rejected", a_range(None, 2), statusReason="no such city") == Refused(
        "no such city", carrier_status="rejected"
    )
    assert stands("rejected") == Refused("rejected without a reason", carrier_status="rejected")


@pytest.mark.parametrize("word", ["rejected", "cancelled"])
def test_rejected_or_cancelled_with_numbers_ends_with_errors(word: str) -> None:
    event = stands(word, a_range(A))
    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A)


def test_a_404_is_open_and_marked_unknown() -> None:
    event = asked(answered(404, {"message": "not found"}))
    assert isinstance(event, StillOpen)
    assert (event.carrier_status, event.slow, event.unheard_of) == ("404", True, True)


@pytest.mark.parametrize("status", [204, 301, 400, 401, 403, 429, 500, 502])
def test_other_answers_are_no_answer(status: int) -> None:
    with pytest.raises(NoAnswer, match=str(status)):
        asked(answered(status))


@pytest.mark.parametrize("body", [b"", b"  ", HTML])
def test_a_success_without_content_is_no_answer(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        asked(answered(200, body))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        [],
        b"[" * 100_000,
        shown(guid=OTHER),
        shown(None),
        shown(""),
        shown({"name": "completed"}),
        shown(True),
        shown("completed", ranges={}),
        shown("completed", ranges=["+31201234560"]),
        shown("completed", a_range("020 123 4560", 2)),
        shown("completed", a_range("0201234560", 2)),
        shown("completed", a_range("+19195550100", 2)),
        shown("completed", a_range("+312", 2)),
        shown("completed", a_range(A, 0)),
        shown("completed", a_range(A, -1)),
        shown("completed", a_range(A, True)),
        shown("completed", a_range(A, "2")),
        shown("completed", a_range(A, 1_000_000_000)),
        shown("completed", *[a_range(A, 9_999)] * 3),
        shown("completed", a_range({"number": A}, 2)),
    ],
)
def test_an_unreadable_request_ends_no_order(body: object) -> None:
    with pytest.raises(UnreadableAnswer):
        asked(answered(200, body))


@pytest.mark.parametrize("ranges", [[{"start": A}], [a_range(A, 2), a_range(C, None)]])
def test_a_range_without_size_is_unreadable_in_an_order_for_ranges(ranges: list[dict[str, Any]]) -> None:
    """Read as one number, the rest of the range would be missed."""
    order = an_order(a_request(4, range_size=2), carrier_status="completed")
    with pytest.raises(UnreadableAnswer, match="how long"):
        stands("completed", *ranges, order=order)
    assert stands("completed", a_range(A, 4), order=order) == Filled("completed", acquired(A, B, C, "+31201234563"))


def test_numbers_of_another_numbering_plan_are_unreadable() -> None:
    with pytest.raises(UnreadableAnswer, match="another numbering plan"):
        stands("completed", a_range(A, 2), order=an_order(in_america(2)))


@pytest.mark.parametrize("start", ["9191550100", "+19191550100", 19191550100])
def test_a_number_that_north_america_does_not_have_is_kept(start: object) -> None:
    event = stands("completed", a_range("9195550100"), a_range(start), order=an_order(in_america(2)))

    assert isinstance(event, FilledWithErrors)
    assert [(result.e164, result.state) for result in event.numbers] == [
        ("+19195550100", NumberState.ACQUIRED),
        ("+19191550100", NumberState.ACQUIRED),
    ]
    assert str(event.numbers[1].text).startswith("not a valid number")
    assert "+19191550100" in event.reason


# --- what is not ours ------------------------------------------------------------------------------

NOT_OURS = [
    "number-orders:0198d3b2-0000-7000-8000-000000000001",
    f"for the branch in Breda {COMMENT}",
    "for the branch in Breda",
    "",
    None,
]


@pytest.mark.parametrize("comment", NOT_OURS)
@pytest.mark.parametrize("status", ["created", "completed", "rejected", "pondering"])
def test_a_request_without_our_reference_is_parked(comment: str | None, status: str) -> None:
    """Somebody adopted the wrong one: nothing of it is ours, and it is not cancelled."""
    order = an_order(cancel_asked_at=datetime(2026, 1, 2, tzinfo=UTC))

    event = stands(status, a_range(A, 2), order=order, comment=comment)

    assert isinstance(event, Parked)
    assert event.reason.startswith(f"cm's order {THEIRS} bears ")
    assert "nothing of that was taken for ours" in event.reason


def test_a_request_that_shows_no_comment_at_all_is_taken_as_ours() -> None:
    shows = shown("completed", a_range(A, 2))
    del shows["comment"]

    assert asked(answered(200, shows)) == Filled("completed", acquired(A, B))


@pytest.mark.parametrize("notes", ["", " for Breda", "\nnumber-orders:0198d3b2-0000-7000-8000-000000000001"])
def test_what_follows_our_reference_does_not_matter(notes: str) -> None:
    assert stands("completed", a_range(A, 2), comment=COMMENT + notes) == Filled("completed", acquired(A, B))


# --- several requests with our reference -------------------------------------------------------------

SENT_TWICE: dict[str, Any] = {"losses": 1, "sends": 2}


def asked_after_a_loss(*answers: CarrierAnswer, **more: Any) -> tuple[Event, list[CarrierRequest]]:
    listed = [shown("completed"), shown("completed", guid=OTHER)]
    first, *others = answers
    page = answered(200, listed, x_cm_pagination_total="2")
    return converse(CARRIER.ask(an_order(**{**SENT_TWICE, **more})), first, page, *others)


def of_ours(status: str, *ranges: dict[str, Any], **more: Any) -> CarrierAnswer:
    return answered(200, shown(status, *ranges, **more))


def of_other(status: str, *ranges: dict[str, Any]) -> CarrierAnswer:
    return of_ours(status, *ranges, guid=OTHER)


def test_two_requests_with_our_reference_are_followed_to_their_ends() -> None:
    event, requests = asked_after_a_loss(of_ours("completed", a_range(A, 2)), of_other("accepted"))

    assert [r.path for r in requests] == [f"{REQUESTS}/{THEIRS}", REQUESTS, f"{REQUESTS}/{OTHER}"]
    detail = f"the carrier has 2 orders with our reference: {THEIRS} is completed, {OTHER} is still accepted"
    assert event == StillOpen("completed", acquired(A, B), detail, slow=True)

    event, _ = asked_after_a_loss(of_ours("completed", a_range(A, 2)), of_other("completed", a_range(C, 2)))

    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A, B, C, "+31201234563")
    assert event.carrier_order_ids == (THEIRS, OTHER)
    assert THEIRS in event.reason
    assert OTHER in event.reason

    event, _ = asked_after_a_loss(of_ours("completed", a_range(A, 2)), of_other("rejected"))

    assert event == Filled("completed", acquired(A, B))


@pytest.mark.parametrize("other", [of_other("accepted"), of_other("completed", a_range(A, 2))])
def test_a_rejected_request_gives_way_to_one_that_lives_or_has_numbers(other: CarrierAnswer) -> None:
    event, _ = asked_after_a_loss(of_ours("rejected"), other)

    assert isinstance(event, Acknowledged)
    assert (event.carrier_order_id, event.instead_of) == (OTHER, THEIRS)


@pytest.mark.parametrize("other", [of_other("rejected"), of_other("cancelled"), answered(404)])
def test_a_rejected_request_is_the_end_if_the_other_came_to_nothing(other: CarrierAnswer) -> None:
    event, _ = asked_after_a_loss(of_ours("rejected", statusReason="sold out"), other)

    assert event == Refused("sold out", carrier_status="rejected")


def test_an_order_does_not_end_before_the_list_was_read() -> None:
    with pytest.raises(NoAnswer):
        converse(CARRIER.ask(an_order(**SENT_TWICE)), of_ours("completed", a_range(A, 2)), answered(502))


def test_an_order_does_not_end_before_the_whole_list_was_shown() -> None:
    """It is in the list itself, but one request of three is not: that may be a second purchase."""
    listed = [shown("completed"), shown(guid=OTHER, comment="nobody's")]

    with pytest.raises(NoAnswer, match="2 of 3"):
        converse(
            CARRIER.ask(an_order(**SENT_TWICE)),
            of_ours("completed", a_range(A, 2)),
            answered(200, listed, x_cm_pagination_total="3"),
            answered(200, [], x_cm_pagination_total="3"),
        )


def test_an_order_without_a_carrier_order_id_is_a_mistake() -> None:
    with pytest.raises(Mistake):
        next(CARRIER.ask(an_order(a_request(), carrier_order_id=None)))
