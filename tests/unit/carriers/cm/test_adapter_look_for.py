"""Looking for a number request whose answer was lost, by its comment only."""

from datetime import UTC, datetime
from typing import Any

import pytest

from number_orders.carriers.cm.facts import PAGES_MAX
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose
from number_orders.carriers.found_content import content_digest
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, Event, FoundTwice, NotListed, Parked
from number_orders.orders.model import CarrierOrderId, State
from tests.unit.carriers.cm.examples import (
    CARRIER,
    COMMENT,
    HTML,
    OTHER,
    REQUESTS,
    THEIRS,
    a_request,
    an_order,
    answered,
    shown,
)
from tests.unit.carriers.conversations import converse


def guid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def strangers(*numbers: int, comment: str | None = "nobody's") -> list[dict[str, Any]]:
    return [shown(guid=guid(number), comment=comment) for number in numbers]


def page(*items: dict[str, Any], total: int | None = None) -> CarrierAnswer:
    return answered(200, list(items), **({} if total is None else {"x_cm_pagination_total": str(total)}))


def looked(*answers: CarrierAnswer) -> tuple[Event, list[CarrierRequest]]:
    order = an_order(state=State.IN_DOUBT, carrier_order_id=None, losses=1)
    event, asked = converse(CARRIER.look_for(order), *answers)
    assert {(get.method, get.path, get.purpose) for get in asked} == {("GET", REQUESTS, Purpose.READ)}
    return event, asked


@pytest.mark.parametrize("comment", [COMMENT, f"{COMMENT}\nnotes", f"{COMMENT} - seen by Kim", f"  {COMMENT}  "])
def test_an_order_is_found_by_the_first_word_of_its_comment(comment: str) -> None:
    event, _ = looked(page(*strangers(1, 2), shown("accepted", comment=comment), total=3))
    assert event == Acknowledged(THEIRS, "accepted")


@pytest.mark.parametrize(
    "comment",
    [None, "", COMMENT[:-1], f"{COMMENT}0", f"see {COMMENT}", COMMENT.upper(), COMMENT.replace("number-orders:", "")],
)
def test_another_comment_is_not_ours(comment: str | None) -> None:
    event, _ = looked(page(shown(comment=comment), total=1))
    assert isinstance(event, NotListed)


def test_two_requests_with_our_reference_are_found_twice() -> None:
    event, _ = looked(page(shown(), *strangers(1), shown(guid=OTHER), total=3))
    assert event == FoundTwice((THEIRS, OTHER))


def test_of_several_the_oldest_comes_first_and_those_without_a_date_last() -> None:
    third = guid(3)
    event, _ = looked(
        page(
            shown(guid=third, createdOn="soon"),
            shown(guid=OTHER, createdOn="2026-01-02T00:00:00.1234567Z"),
            shown(createdOn="2026-01-02T00:00:00"),
            total=3,
        )
    )
    assert event == FoundTwice((THEIRS, OTHER, CarrierOrderId(third)))


def test_a_request_on_two_pages_counts_once() -> None:
    event, _ = looked(page(shown(), *strangers(1), total=4), page(*strangers(2), shown(), total=4))
    assert event == Acknowledged(THEIRS, "created")


def test_the_list_is_read_to_its_end() -> None:
    event, asked = looked(
        page(*strangers(1, 2, 3), total=5), page(*strangers(4, 5), total=6), page(shown("new"), total=6)
    )
    assert event == Acknowledged(THEIRS, "new")
    assert [get.query for get in asked] == [{"skip": skip, "take": "100"} for skip in ("0", "3", "5")]


def test_without_a_total_only_an_empty_page_is_the_end() -> None:
    event, asked = looked(page(*strangers(1, 2)), page())
    assert isinstance(event, NotListed)
    assert len(asked) == 2


def test_an_empty_list_lists_nothing() -> None:
    assert isinstance(looked(page(total=0))[0], NotListed)
    assert isinstance(looked(page())[0], NotListed)


@pytest.mark.parametrize(
    "pages",
    [
        [page(*strangers(1, 2), total=4), page(*strangers(1, 2), total=5)],  # skip is not heeded
        [page(*strangers(1), total=3), page(total=3)],  # it promised more
        [page(*strangers(1), total=2), page(*strangers(1), total=2)],  # one twice, one never
        [page(*strangers(n)) for n in range(PAGES_MAX)],
    ],
)
def test_a_list_that_does_not_show_everything_proves_nothing(pages: list[CarrierAnswer]) -> None:
    with pytest.raises(NoAnswer):
        looked(*pages)


def test_a_found_request_counts_though_the_list_has_no_end() -> None:
    event, _ = looked(page(shown(), total=9), page(shown(), total=9))
    assert event == Acknowledged(THEIRS, "created")


def test_after_a_fall_a_request_for_something_else_is_parked() -> None:
    """The key came again with another area code. A comment without digest is of an older release, and says nothing."""
    order = an_order(
        a_request(criteria={"npa": "010"}),
        state=State.IN_DOUBT,
        carrier_order_id=None,
        history_lost_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    theirs, ours = (f"{COMMENT} content:{content_digest(one)}\nnotes" for one in (a_request(), order.request))

    event, _ = converse(CARRIER.look_for(order), page(shown(comment=theirs), total=1))
    assert isinstance(event, Parked)
    assert f"cm's order {THEIRS} has our reference and was ordered with something else" in event.reason
    for same in (ours, COMMENT, f"{COMMENT}\ncontent: as agreed"):
        event, _ = converse(CARRIER.look_for(order), page(shown(comment=same), total=1))
        assert event == Acknowledged(THEIRS, "created"), same


def test_after_the_end_the_whole_list_is_wanted() -> None:
    """A late look asks for every request with our reference, and one may be among those that are not shown."""
    ended = an_order(state=State.IN_DOUBT, carrier_order_id=None, losses=1, ended_at=datetime(2026, 1, 2, tzinfo=UTC))

    with pytest.raises(NoAnswer, match="1 of 9"):
        converse(CARRIER.look_for(ended), page(shown(), total=9), page(shown(), total=9))


@pytest.mark.parametrize("total", ["", "many", "-1", "9" * 40, "³"])
def test_a_total_that_is_not_a_number_is_ignored(total: str) -> None:
    event, asked = looked(answered(200, strangers(1), x_cm_pagination_total=total), page())
    assert isinstance(event, NotListed)
    assert len(asked) == 2


def test_a_list_without_comments_proves_nothing() -> None:
    bare = [{"guid": guid(1), "status": "created"}]
    with pytest.raises(UnreadableAnswer, match="no comments"):
        looked(answered(200, bare, x_cm_pagination_total="1"))


@pytest.mark.parametrize("status", [204, 301, 400, 401, 403, 404, 500, 502])
def test_other_answers_are_no_answer(status: int) -> None:
    with pytest.raises(NoAnswer, match=str(status)):
        looked(answered(status))


def test_a_web_page_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        looked(answered(200, HTML))


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"[", b"null", [{"comment": COMMENT}], [{"guid": "x"}]])
def test_a_body_that_is_not_a_list_is_unreadable(body: object) -> None:
    with pytest.raises(UnreadableAnswer):
        looked(answered(200, body))
