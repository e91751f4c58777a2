"""Asking Bandwidth for an order's status: every form of answer, and what counts when answers disagree."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from encodings.aliases import aliases
from xml.etree.ElementTree import ParseError, fromstring

import pytest

from number_orders.carriers.bandwidth.facts import FORGOTTEN_NUMBERS_READ_MAX, UNMENTIONED_NUMBERS_READ_MAX
from number_orders.carriers.contract import CarrierAnswer, Purpose
from number_orders.orders.errors import Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    Event,
    Filled,
    FilledWithErrors,
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import NumberResult, NumberState, Order
from number_orders.orders.numbers import E164
from tests.unit.carriers.bandwidth.examples import (
    BANDWIDTH,
    HTML,
    ORDERS,
    OTHER,
    THEIRS,
    A,
    B,
    C,
    D,
    a_request,
    acquired,
    an_order,
    answered,
    bare,
    error,
    listed,
    lost,
    named,
    number_of,
    own_list,
    searched,
    shown,
    wrapped,
)
from tests.unit.carriers.conversations import converse

GONE = error("5005", "The telephone number is unavailable for ordering", B)
GONE_RESULT = lost(B, "5005", "The telephone number is unavailable for ordering")


def ask(order: Order, *answers: CarrierAnswer | str) -> Event:
    event, asked = converse(
        BANDWIDTH.ask(order), *(a if isinstance(a, CarrierAnswer) else answered(200, a) for a in answers)
    )
    assert all(request.purpose is Purpose.READ for request in asked)
    return event


def test_an_order_is_asked_for_by_its_id() -> None:
    event, asked = converse(BANDWIDTH.ask(named(A)), answered(200, shown("RECEIVED")))

    assert [(r.method, r.path) for r in asked] == [("GET", f"{ORDERS}/{THEIRS}")]
    assert event == StillOpen("RECEIVED")


def test_an_order_without_an_id_cannot_be_asked_for() -> None:
    with pytest.raises(Mistake, match="no carrier order id"):
        next(BANDWIDTH.ask(named(A, carrier_order_id=None)))


@pytest.mark.parametrize("status", ["RECEIVED", "PROCESSING", "SUBMITTED", "received"])
def test_an_order_being_worked_on_is_open(status: str) -> None:
    assert ask(named(A), shown(status)) == StillOpen(status)


@pytest.mark.parametrize("status", ["RECEIVED", "FAILED", "COMPLETE"])
def test_5019_means_pending_whatever_the_status(status: str) -> None:
    assert ask(named(A), shown(status, errors=error("5019", "still at it"))) == StillOpen(
        status, detail="5019: still at it"
    )


def test_a_backorder_is_slow_and_shows_what_it_has() -> None:
    body = shown("BACKORDERED", completed=wrapped(A), errors=error("5521", "1 of 3 found"), quantities=(1, 0))

    assert ask(searched(3), body) == StillOpen("BACKORDERED", acquired(A), "5521: 1 of 3 found", slow=True)


@pytest.mark.parametrize("status", ["CANCELLED", "COMPLETE!", "PARTIALLY", "Abgeschlossen"])
def test_an_unknown_status_is_open_and_marked(status: str) -> None:
    assert ask(named(A), shown(status, completed=bare(A))) == StillOpen(status, unheard_of=True)


def test_an_order_answered_404_is_open_and_marked() -> None:
    event = ask(named(A), answered(404, b""))

    assert isinstance(event, StillOpen)
    assert (event.carrier_status, event.unheard_of) == ("404", True)


@pytest.mark.parametrize("status", ["COMPLETE", "COMPLETED", "Complete"])
@pytest.mark.parametrize("shape", [wrapped, bare])
def test_everything_asked_for_is_filled(status: str, shape: Callable[..., str]) -> None:
    body = shown(status, completed=shape(B, A), quantities=(2, 0))

    assert ask(named(A, B), body) == Filled(status, acquired(A, B))


@pytest.mark.parametrize("written", ["+19195550100", "19195550100", "9195550100", " +19195550100\n"])
def test_numbers_are_read_in_every_documented_form(written: str) -> None:
    assert ask(named(A), shown("COMPLETE", completed=wrapped(written))) == Filled("COMPLETE", acquired(A))


def test_a_search_is_filled_with_whatever_was_found() -> None:
    assert ask(searched(2), shown("COMPLETE", completed=wrapped(D, C))) == Filled("COMPLETE", acquired(D, C))


def test_empty_wrappers_of_a_success_say_nothing() -> None:
    body = shown("COMPLETE", completed=wrapped(A)).replace(
        "<CompletedNumbers>", "<ErrorList/><FailedNumbers/><CompletedNumbers>"
    )

    assert ask(named(A), body) == Filled("COMPLETE", acquired(A))


def test_namespaces_order_and_details_do_not_matter() -> None:
    body = (
        '<ns:OrderResponse xmlns:ns="urn:iris"><ns:OrderStatus>COMPLETE</ns:OrderStatus><!-- x -->'
        "<ns:CompletedNumbers><ns:TelephoneNumber><ns:City>CARY</ns:City><ns:FullNumber>9195550100</ns:FullNumber>"
        "<ns:Tier>0</ns:Tier></ns:TelephoneNumber></ns:CompletedNumbers>"
        f"<ns:Order><ns:id>{THEIRS}</ns:id></ns:Order></ns:OrderResponse>"
    )

    assert ask(named(A), body) == Filled("COMPLETE", acquired(A))


@pytest.mark.parametrize("moment", ["", "yesterday", "2013-12-20T06", "9999-99-99T99:99:99Z", "2015-06-13 16:14:46.0"])
def test_a_bad_date_fails_no_order(moment: str) -> None:
    body = shown("COMPLETE", completed=wrapped(A)).replace("2024-09-05T23:34:33.306Z", moment)

    assert ask(named(A), body) == Filled("COMPLETE", acquired(A))


def test_a_partial_order_has_a_result_for_each_number() -> None:
    body = shown("PARTIAL", completed=wrapped(A), failed=bare(B), errors=GONE, quantities=(1, 1))

    event = ask(named(B, A), body)

    assert event == PartlyFilled(
        "PARTIAL",
        (*acquired(A), GONE_RESULT),
        "1 of 2 numbers: The telephone number is unavailable for ordering",
    )


def test_a_partial_search_invents_no_numbers() -> None:
    body = shown("PARTIAL", completed=wrapped(A, B), summary="2 out of 3 numbers ordered in (919)")

    assert ask(searched(3), body) == PartlyFilled(
        "PARTIAL", acquired(A, B), "2 of 3 numbers: 2 out of 3 numbers ordered in (919)"
    )


def test_errors_are_matched_by_number_and_never_by_position() -> None:
    errors = error("5005", "gone", C) + error("5008", "odd", A) + error("5017", "some were short")
    body = shown("FAILED", failed=bare(B, C, A), errors=errors)

    assert ask(named(A, B, C), body) == Refused(
        "gone",
        "5005",
        "FAILED",
        (lost(A, "5008", "odd"), lost(B, "5017", "some were short"), lost(C, "5005", "gone")),
    )


def test_a_failed_order_names_every_number_asked_for() -> None:
    body = shown("FAILED", errors=error("5016", "The site is invalid")).replace(
        "</OrderResponse>", "<CompletedNumbers/></OrderResponse>"
    )

    assert ask(named(A, B), body) == Refused(
        "The site is invalid",
        "5016",
        "FAILED",
        (lost(A, "5016", "The site is invalid"), lost(B, "5016", "The site is invalid")),
    )


def test_a_failed_search_names_no_numbers() -> None:
    assert ask(searched(5), shown("FAILED", summary="0 numbers in (919)")) == Refused(
        "0 numbers in (919)", None, "FAILED"
    )
    assert ask(searched(5), shown("FAILED")) == Refused("the carrier gave no reason", None, "FAILED")


# --- when they contradict themselves -----------------------------------------------------------


def test_the_contradictory_example_is_settled_by_the_orders_own_list() -> None:
    """COMPLETED, CompletedQuantity 0, FailedQuantity 1, and the number among the completed ones."""
    order = an_order(a_request(A))
    body = shown("COMPLETED", completed=bare(A), quantities=(0, 1), summary="1 number requested")

    event, asked = converse(BANDWIDTH.ask(order), answered(200, body), answered(200, own_list(A)))

    assert [r.path for r in asked] == [f"{ORDERS}/{THEIRS}", f"{ORDERS}/{THEIRS}/tns"]
    assert event == Filled("COMPLETED", acquired(A))


def test_complete_with_numbers_left_out_is_filled_when_its_list_has_them_all() -> None:
    assert ask(named(A, B), shown("COMPLETE", completed=bare(A)), own_list("9195550101", "9195550100")) == Filled(
        "COMPLETE", acquired(A, B)
    )


def test_partial_with_everything_is_filled() -> None:
    assert ask(named(A, B), shown("PARTIAL", completed=bare(A, B)), own_list(A, B)) == Filled("PARTIAL", acquired(A, B))


def test_a_miscounted_partial_is_partial() -> None:
    body = shown("PARTIAL", completed=bare(A), quantities=(2, 0), errors=GONE)

    event = ask(named(A, B), body, own_list(A))

    assert isinstance(event, PartlyFilled)
    assert event.numbers == (*acquired(A), GONE_RESULT)


def test_a_failed_order_whose_list_is_empty_has_failed() -> None:
    """Bandwidth's notice of a failure lists attempted numbers among the completed ones."""
    event = ask(named(B), shown("FAILED", completed=bare(B), errors=GONE), own_list())

    assert event == Refused("The telephone number is unavailable for ordering", "5005", "FAILED", (GONE_RESULT,))


NOBODYS = answered(404)
"""A look at a number that is not on the account."""

WRONG: list[tuple[str, Order, str, str | CarrierAnswer | list[str | CarrierAnswer], str]] = [
    (
        "COMPLETE with fewer",
        named(A, B),
        shown("COMPLETE", completed=bare(A)),
        [own_list(A), NOBODYS],
        "1 of 2 numbers",
    ),
    ("COMPLETE with none", named(A), shown("COMPLETE"), [own_list(), NOBODYS], "0 of 1 numbers"),
    ("COMPLETE with more", searched(1), shown("COMPLETE", completed=bare(A, B)), own_list(A, B), "2 of 1 numbers"),
    (
        "COMPLETE with another",
        named(A),
        shown("COMPLETE", completed=bare(B)),
        [own_list(B), NOBODYS],
        "that the order does not name",
    ),
    (
        "COMPLETE with an error",
        named(A),
        shown("COMPLETE", completed=bare(A), errors=error("5003", "half done")),
        own_list(A),
        "5003: half done",
    ),
    (
        "COMPLETE with a failed one",
        named(A),
        shown("COMPLETE", completed=bare(A), failed=bare(B)),
        own_list(A),
        "names 1 number as failed",
    ),
    (
        "completed and failed at once",
        named(A, B),
        shown("PARTIAL", completed=bare(A), failed=bare(A, B)),
        own_list(A),
        "both as completed and as failed",
    ),
    ("FAILED with a number", named(A), shown("FAILED", completed=bare(A)), own_list(A), "1 of 1 numbers"),
    ("PARTIAL with none", named(A), shown("PARTIAL"), [own_list(), NOBODYS], "0 of 1 numbers"),
    (
        "PARTIAL with all and an error",
        named(A, B),
        shown("PARTIAL", completed=bare(A, B), errors=GONE),
        own_list(A, B),
        "5005",
    ),
    (
        "the list lacks one",
        searched(2),
        shown("COMPLETE", completed=bare(A, B), quantities=(1, None)),
        [own_list(A, C), NOBODYS],
        "lacks 1 number",
    ),
    ("no list is kept", named(A), shown("COMPLETE", completed=bare(A), quantities=(0, 0)), answered(404), "no list"),
    (
        "unreadable numbers",
        named(A),
        shown("COMPLETE", completed=bare("n/a")),
        [own_list("n/a"), NOBODYS],
        "cannot be read: 'n/a'",
    ),
]


@pytest.mark.parametrize(("order", "first", "more", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_an_order_that_still_contradicts_itself_ends_with_errors(
    order: Order, first: str, more: str | CarrierAnswer | list[str | CarrierAnswer], words: str
) -> None:
    event = ask(order, first, *(more if isinstance(more, list) else [more]))

    assert isinstance(event, FilledWithErrors)
    assert words in event.reason
    assert event.reason.startswith(f"the carrier says {event.carrier_status}, yet ")


def test_completed_numbers_are_kept_if_the_own_list_is_empty() -> None:
    event = ask(named(A, B), shown("COMPLETE", completed=bare(A, B), quantities=(1, 0)), own_list())

    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A, B)
    assert "its own list lacks 2 numbers" in event.reason


def test_a_contradictory_order_has_a_result_for_each_number() -> None:
    event = ask(named(A, B), shown("COMPLETE", completed=bare(A), errors=GONE), own_list(A, C))

    assert isinstance(event, FilledWithErrors)
    assert event.numbers == (*acquired(A, C), GONE_RESULT)


def test_an_empty_list_may_come_without_content() -> None:
    event = ask(named(B), shown("FAILED", completed=bare(B), errors=GONE), answered(204))

    assert isinstance(event, Refused)


def test_an_unreadable_number_is_settled_by_the_own_list() -> None:
    event = ask(named(A, B), shown("COMPLETE", completed=bare(A, "not a number")), own_list(A, B))

    assert event == Filled("COMPLETE", acquired(A, B))


# --- what is not mentioned -----------------------------------------------------------------------


@pytest.mark.parametrize("status", ["COMPLETE", "PARTIAL"])
@pytest.mark.parametrize("without_list", [answered(404), answered(200, own_list()), answered(204)])
def test_numbers_that_are_not_mentioned_are_looked_up(status: str, without_list: CarrierAnswer) -> None:
    event, requests = converse(
        BANDWIDTH.ask(named(A, B)),
        answered(200, shown(status)),
        without_list,
        answered(200, number_of(THEIRS)),
        answered(200, number_of(THEIRS.upper())),
    )

    assert [r.path for r in requests[2:]] == ["/api/v2/tns/%2B19195550100", "/api/v2/tns/%2B19195550101"]
    assert event == Filled(status, acquired(A, B))


NOT_OURS = "<TelephoneNumberResponse><Error><Code>15610</Code></Error></TelephoneNumberResponse>"


@pytest.mark.parametrize(
    ("look", "state", "words"),
    [
        (answered(404), NumberState.FAILED, "not on this account"),
        (answered(400, NOT_OURS), NumberState.FAILED, "not on this account"),
        (answered(200, number_of(THEIRS, account="5")), NumberState.FAILED, "another account's"),
        (answered(200, number_of(OTHER)), NumberState.FAILED, f"order {OTHER} has the number"),
        (answered(200, number_of(THEIRS).replace("Inservice", "Aging")), NumberState.FAILED, "as Aging"),
        (answered(200, number_of(THEIRS).replace("Inservice", "Available")), NumberState.FAILED, "as Available"),
        (answered(200, "<TelephoneNumberResponse/>"), NumberState.REQUESTED, "not known: "),
        (answered(403), NumberState.REQUESTED, "not known: it could not be looked up: HTTP 403"),
        (answered(400, "<X><Error><Code>1006</Code></Error></X>"), NumberState.REQUESTED, "not known: "),
    ],
)
def test_a_look_decides_about_a_number_or_leaves_it_unknown(
    look: CarrierAnswer, state: NumberState, words: str
) -> None:
    event = ask(named(A, B), shown("COMPLETE", completed=bare(A)), own_list(A), look)

    assert isinstance(event, FilledWithErrors)
    (other,) = event.numbers[1:]
    assert (event.numbers[0], other.e164, other.state) == (*acquired(A), B, state)
    assert words in str(other.text)


@pytest.mark.parametrize("trouble", [answered(500), answered(401), answered(429), answered(200), answered(200, HTML)])
def test_an_order_does_not_end_before_its_numbers_were_looked_up(trouble: CarrierAnswer) -> None:
    with pytest.raises(NoAnswer):
        ask(named(A, B), shown("COMPLETE", completed=bare(A)), own_list(A), trouble)


def test_of_many_numbers_the_first_are_looked_up_and_the_rest_is_not_known() -> None:
    numbers = tuple(E164(f"+1919555{n:04}") for n in range(UNMENTIONED_NUMBERS_READ_MAX + 5))
    looks = [answered(200, number_of(THEIRS))] * UNMENTIONED_NUMBERS_READ_MAX

    event = ask(named(*numbers), shown("COMPLETE"), answered(404), *looks)

    assert isinstance(event, FilledWithErrors)
    states = [result.state for result in event.numbers]
    assert states == [NumberState.ACQUIRED] * UNMENTIONED_NUMBERS_READ_MAX + [NumberState.REQUESTED] * 5
    assert {result.text for result in event.numbers[-5:]} == {"not known: the carrier says nothing of this number"}


@pytest.mark.parametrize(
    ("body", "reason", "text"),
    [
        (
            shown("FAILED", failed=bare(A), errors=GONE),
            "5005",
            f"not bought because of {B}: 5005: The telephone number",
        ),
        (shown("FAILED", summary="0 numbers in (919)"), None, "0 numbers in (919)"),
        (shown("FAILED"), None, "the carrier gave no reason"),
        (shown("PARTIAL", completed=bare(B), failed=bare(A)), None, "the carrier gave no reason"),
    ],
)
def test_no_number_fails_without_a_code_or_a_reason(body: str, reason: str | None, text: str) -> None:
    event = ask(named(A, B), body)

    assert isinstance(event, Refused | PartlyFilled)
    results = {result.e164: result for result in event.numbers}
    assert results[A].state is NumberState.FAILED
    assert str(results[A].text).startswith(text)
    assert getattr(event, "code", None) == reason


def test_a_backorder_that_fails_lists_nothing_of_what_it_showed() -> None:
    """Bandwidth shows A while it is backordered, and nothing at its end: A is not bought."""
    opened = ask(searched(3), shown("BACKORDERED", completed=bare(A)))
    ended = ask(searched(3), shown("FAILED", summary="0 numbers in (919)"))

    assert isinstance(opened, StillOpen)
    assert opened.numbers == acquired(A)
    assert ended == Refused("0 numbers in (919)", None, "FAILED")


# --- numbers that cannot be read -----------------------------------------------------------------


@pytest.mark.parametrize("written", ["9191550100", "+19191550100", "1 919 155 0100", "(919) 155-0100"])
def test_a_number_that_no_plan_has_is_kept(written: str) -> None:
    event = ask(searched(2), shown("COMPLETE", completed=bare(A, written)), own_list(A, written))

    assert isinstance(event, FilledWithErrors)
    assert [result.e164 for result in event.numbers] == [A, "+19191550100"]
    assert {result.state for result in event.numbers} == {NumberState.ACQUIRED}
    assert str(event.numbers[1].text).startswith("not a valid number")
    assert "+19191550100" in event.reason


@pytest.mark.parametrize("written", ["pending", "919155010", "+0", "1" * 30])
def test_an_entry_that_is_no_number_is_kept_as_text(written: str) -> None:
    event = ask(searched(2), shown("COMPLETE", completed=bare(A, written)), own_list(A, written))

    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A)
    assert f"1 of its numbers cannot be read: '{written}'" in event.reason


def test_an_entry_that_is_no_number_is_kept_while_the_order_is_open() -> None:
    event = ask(searched(2), shown("BACKORDERED", completed=bare(A, "pending")))

    assert event == StillOpen("BACKORDERED", acquired(A), "1 of its numbers cannot be read: 'pending'", slow=True)


def test_a_number_is_read_as_people_write_it() -> None:
    assert ask(named(A), shown("COMPLETE", completed=bare("(919) 555-0100"))) == Filled("COMPLETE", acquired(A))


# --- after a lost answer ------------------------------------------------------------------------


def test_a_taken_number_may_be_from_an_earlier_send() -> None:
    order = named(B, losses=1, sends=2)

    event, asked = converse(
        BANDWIDTH.ask(order),
        answered(200, shown("FAILED", failed=bare(B), errors=GONE)),
        answered(200, number_of(OTHER)),
        answered(200, shown("COMPLETE", completed=bare(B))),
    )

    assert [r.path for r in asked[1:]] == ["/api/v2/tns/%2B19195550101", f"{ORDERS}/{OTHER}"]
    assert event == Acknowledged(OTHER, "COMPLETE", instead_of=THEIRS)


def test_without_a_lost_answer_nothing_more_is_read() -> None:
    assert isinstance(ask(named(B), shown("FAILED", failed=bare(B), errors=GONE)), Refused)


@pytest.mark.parametrize(
    ("about_number", "about_order"),
    [
        (answered(404), None),
        (answered(403), None),
        (answered(400, "<TelephoneNumberResponse><Error><Code>15610</Code></Error></TelephoneNumberResponse>"), None),
        (answered(200, number_of(THEIRS)), None),
        (answered(200, number_of("")), None),
        (answered(200, number_of("../orders")), None),
        (answered(200, number_of(OTHER, account="5")), None),
        (answered(200, number_of(OTHER)), answered(404)),
        (answered(200, number_of(OTHER)), answered(403)),
        (answered(200, number_of(OTHER)), answered(200, shown("COMPLETE", reference="somebody-elses"))),
        (answered(200, number_of(OTHER)), answered(200, shown("FAILED"))),
    ],
)
def test_a_number_that_is_not_ours_leaves_the_refusal(
    about_number: CarrierAnswer, about_order: CarrierAnswer | None
) -> None:
    order = named(B, losses=1)
    answers = [about_number, *([about_order] if about_order else [])]

    event = ask(order, shown("FAILED", failed=bare(B), errors=GONE), *answers)

    assert event == Refused("The telephone number is unavailable for ordering", "5005", "FAILED", (GONE_RESULT,))


@pytest.mark.parametrize("trouble", [answered(500), answered(401), answered(200), answered(200, HTML)])
def test_there_is_no_refusal_before_the_number_was_looked_up(trouble: CarrierAnswer) -> None:
    with pytest.raises(NoAnswer):
        ask(named(B, losses=1), shown("FAILED", failed=bare(B), errors=GONE), trouble)


def test_before_a_resent_search_ends_the_list_is_read() -> None:
    """Nothing at Bandwidth keeps a repeated search from buying twice."""
    order = searched(1, losses=1, sends=2)
    mine = str(order.order_id)

    event = ask(
        order,
        shown("COMPLETE", completed=bare(A)),
        listed((OTHER, mine, "2026-01-02T00:00:00Z"), (THEIRS, mine, "2026-01-02T00:10:00Z")),
        shown("COMPLETE", completed=bare(C)),
    )

    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A, C)
    assert OTHER in event.reason


def test_two_orders_under_our_reference_are_followed_to_their_ends() -> None:
    """One has its numbers, the other is still worked on: the order stays open, and names both."""
    order = searched(2, losses=1, sends=2)
    mine = str(order.order_id)
    both = listed((OTHER, mine, "2026-01-02T00:00:00Z"), (THEIRS, mine, "2026-01-02T00:10:00Z"))

    event = ask(order, shown("COMPLETE", completed=bare(A, B)), both, shown("RECEIVED"))

    detail = f"the carrier has 2 orders with our reference: {THEIRS} is COMPLETE, {OTHER} is still RECEIVED"
    assert event == StillOpen("COMPLETE", acquired(A, B), detail)

    event = ask(order, shown("COMPLETE", completed=bare(A, B)), both, shown("COMPLETE", completed=bare(C, D)))

    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A, B, C, D)
    assert event.carrier_order_ids == (THEIRS, OTHER)
    assert THEIRS in event.reason
    assert OTHER in event.reason

    event = ask(order, shown("COMPLETE", completed=bare(A, B)), both, shown("FAILED"))

    assert event == Filled("COMPLETE", acquired(A, B))


def test_an_order_without_numbers_gives_way_to_one_that_has_some() -> None:
    order = searched(1, losses=1, sends=2)
    mine = str(order.order_id)
    both = listed((OTHER, mine, "2026-01-02"), (THEIRS, mine, "2026-01-03"))

    event = ask(order, shown("COMPLETE"), own_list(), both, shown("COMPLETE", completed=bare(A)))

    assert event == Acknowledged(OTHER, "COMPLETE", instead_of=THEIRS)


def test_the_second_order_is_read_as_thoroughly_as_the_first() -> None:
    """Its answer contradicts itself, and its own list shows what it bought."""
    order = searched(1, losses=1, sends=2)
    mine = str(order.order_id)
    both = listed((THEIRS, mine, "2026-01-02"), (OTHER, mine, "2026-01-03"))

    event, requests = converse(
        BANDWIDTH.ask(order),
        answered(200, shown("COMPLETE", completed=bare(A))),
        answered(200, both),
        answered(200, shown("COMPLETE")),
        answered(200, own_list(B)),
    )

    assert requests[-1].path == f"{ORDERS}/{OTHER}/tns"
    assert isinstance(event, FilledWithErrors)
    assert (event.numbers, event.carrier_order_ids) == (acquired(A, B), (THEIRS, OTHER))


def test_a_resent_search_that_is_listed_once_ends_as_shown() -> None:
    order = searched(1, losses=1, sends=2)

    event = ask(order, shown("COMPLETE", completed=bare(A)), listed((THEIRS, str(order.order_id), "2026-01-02")))

    assert event == Filled("COMPLETE", acquired(A))


@pytest.mark.parametrize("times", [1, 2], ids=["one is missing", "one is shown twice"])
def test_a_resent_order_does_not_end_before_the_whole_list_was_shown(times: int) -> None:
    """It is in the list itself, but one order of two is not: that may be a second purchase."""
    item = (THEIRS, str(searched(1).order_id), "2026-01-02")

    with pytest.raises(NoAnswer, match="1 of 2"):
        ask(
            searched(1, losses=1, sends=2),
            shown("COMPLETE", completed=bare(A)),
            listed(*[item] * times, total=2),
        )


def test_a_failed_resent_order_gives_way_to_a_living_one() -> None:
    order = searched(1, losses=1, sends=2)
    mine = str(order.order_id)

    event = ask(
        order,
        shown("FAILED"),
        listed((THEIRS, mine, "2026-01-02"), (OTHER, mine, "2026-01-03")),
        shown("RECEIVED"),
    )

    assert event == Acknowledged(OTHER, "RECEIVED", instead_of=THEIRS)


def test_an_order_with_numbers_from_two_sends_has_them_all() -> None:
    body = shown("PARTIAL", completed=bare(A), failed=bare(B), errors=GONE)

    event = ask(
        named(A, B, losses=1, sends=2), body, number_of(OTHER), shown("PARTIAL", completed=bare(B), failed=bare(A))
    )

    assert isinstance(event, FilledWithErrors)
    assert event.numbers == (*acquired(A), NumberResult(B, NumberState.ACQUIRED))


# --- after the ledger fell back in time --------------------------------------------------------------

FALL = datetime(2024, 9, 6, tzinfo=UTC)
AGING = number_of(THEIRS).replace("Inservice", "Aging")


def made_at(moment: str, body: str) -> str:
    return body.replace("<SiteId>", f"<OrderCreateDate>{moment}</OrderCreateDate><SiteId>")


@pytest.mark.parametrize("made", ["2024-09-05T23:34:31.553Z", "2024-09-06T00:59:59Z", "the other day"])
def test_a_number_of_a_forgotten_purchase_that_has_left_is_released(made: str) -> None:
    """Its removal may be forgotten too, and the order goes on listing it."""
    event = ask(
        searched(3, history_lost_at=FALL, sends=0),
        made_at(made, shown("COMPLETE", completed=bare(A, B, C))),
        AGING,
        number_of(THEIRS),
        answered(403),
    )

    assert isinstance(event, FilledWithErrors)
    assert event.reason == "the carrier says COMPLETE, yet 1 number bought and not on the account any more"
    assert [result.state for result in event.numbers] == [
        NumberState.RELEASED,
        NumberState.ACQUIRED,
        NumberState.ACQUIRED,  # nothing can be seen of it, and the order lists it
    ]
    assert event.numbers[0].text == "bought, and gone since: the carrier shows the number as Aging"


def test_a_forgotten_purchase_with_few_numbers_is_partial_without_those_that_have_left() -> None:
    body = shown("PARTIAL", completed=bare(A, B), errors=error("5005", "gone", C))

    event = ask(named(A, B, C, history_lost_at=FALL, sends=0), body, AGING, number_of(THEIRS))

    assert isinstance(event, PartlyFilled)
    assert event.reason.endswith("gone; 1 number bought and not on the account any more")
    states = {result.e164: result.state for result in event.numbers}
    assert states == {A: NumberState.RELEASED, B: NumberState.ACQUIRED, C: NumberState.FAILED}


def test_numbers_of_a_purchase_that_was_made_after_the_fall_are_not_looked_up() -> None:
    order = searched(1, history_lost_at=FALL, sends=0)
    body = made_at("2024-09-06T01:00:01Z", shown("COMPLETE", completed=bare(A)))

    assert ask(order, body) == Filled("COMPLETE", acquired(A))


def test_numbers_of_an_order_that_was_accepted_and_sent_after_the_fall_are_not_looked_up() -> None:
    """It was looked for first. Then also the carrier's clock does not matter."""
    order = searched(1, history_lost_at=FALL, accepted_at=FALL, sends=1)
    body = made_at("2024-09-05T23:59:59Z", shown("COMPLETE", completed=bare(A)))

    assert ask(order, body) == Filled("COMPLETE", acquired(A))


def test_of_many_numbers_of_a_forgotten_purchase_the_first_are_looked_up() -> None:
    many = [E164(f"+1919555{number:04}") for number in range(200, 203 + FORGOTTEN_NUMBERS_READ_MAX)]
    shows = shown("COMPLETE", completed=bare(*many))

    event = ask(searched(len(many), history_lost_at=FALL, sends=0), shows, *[AGING] * FORGOTTEN_NUMBERS_READ_MAX)

    assert isinstance(event, FilledWithErrors)
    assert [result.state for result in event.numbers[-3:]] == [NumberState.ACQUIRED] * 3
    assert len({result.e164 for result in event.numbers if result.state is NumberState.RELEASED}) == len(many) - 3


# --- answers that say nothing ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 303, 400, 401, 403, 408, 409, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", HTML, b"<OrderResponse><OrderStatus>COMPLETE</OrderStatus></OrderResponse>"])
def test_a_gateway_error_is_no_answer(status: int, body: bytes) -> None:
    with pytest.raises(NoAnswer, match=str(status)):
        ask(named(A), answered(status, body))


def test_no_answer_has_bandwidths_words() -> None:
    said = f"<OrderResponse><ErrorList>{error('5061', 'bad id')}</ErrorList></OrderResponse>"

    with pytest.raises(NoAnswer, match="HTTP 400: 5061: bad id"):
        ask(named(A), answered(400, said))


@pytest.mark.parametrize("body", [b"", b"  \n", HTML, b"<html><body/></html>"])
def test_an_empty_body_or_a_web_page_is_no_answer(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        ask(named(A), answered(200, body))


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<OrderResponse><OrderStatus>&b;</OrderStatus></OrderResponse>"
)


def written(document: str, encoding: str) -> list[bytes]:
    """Return a document in an encoding, with a declaration in that encoding and one in ASCII."""
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    return [(declared + document).encode(encoding), declared.encode() + document.encode(encoding)]


def readable() -> list[tuple[str, int]]:
    """Return the encodings, and the ways to declare them, in which XML can be read here."""
    able = []
    for encoding in sorted({*aliases.values(), "utf_16", "utf-16", "utf-16-le", "utf-16-be"}):
        for way in range(2):
            with suppress(LookupError, ValueError, ParseError):
                fromstring(written("<OrderResponse/>", encoding)[way])  # noqa: S314  our own
                able.append((encoding, way))
    return able


READABLE = readable()


@pytest.mark.parametrize(("encoding", "way"), READABLE)
def test_a_document_type_is_refused_in_every_encoding(encoding: str, way: int) -> None:
    """It is searched for in the bytes before the document is parsed for it."""
    body = written(BOMB.partition("?>")[2], encoding)[way]
    with pytest.raises(UnreadableAnswer):
        ask(named(A), answered(200, body))


def test_the_encodings_include_one_with_other_bytes() -> None:
    assert ("utf-16", 0) in READABLE
    assert b"<!" not in written(BOMB, "utf-16")[0]


@pytest.mark.parametrize(
    "body",
    [
        b"COMPLETE",
        b"{}",
        b"<OrderResponse>",
        b"<SearchResult><OrderStatus>COMPLETE</OrderStatus></SearchResult>",
        shown(None, completed=bare(A)),
        shown("COMPLETE", completed=bare(A), order_id="<id>another</id>"),
        shown("COMPLETE").replace("</OrderResponse>", "<OrderStatus>FAILED</OrderStatus></OrderResponse>"),
        BOMB,
        shown("COMPLETE", completed=bare(A)).replace("?><", "?><!DOCTYPE OrderResponse><"),
        shown("COMPLETE", completed=bare(A)).replace("?><", '?><!DOCTYPE x SYSTEM "file:///etc/passwd"><'),
        '<?xml version="1.0" encoding="made-up"?><OrderResponse/>',
        BOMB.encode("utf-16"),
        b"<OrderResponse><OrderStatus>\xff\xfe</OrderStatus></OrderResponse>",
    ],
)
def test_a_body_that_is_not_an_order_is_unreadable(body: bytes | str) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        ask(named(A), answered(200, body))
    assert str(caught.value).startswith("bandwidth: ")
