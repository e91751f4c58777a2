"""Removals: what is sent, what the answers mean, how doubt is settled, and which orders are refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from number_orders.carriers.bandwidth.facts import DISCONNECTS_READ_MAX, UNKNOWN_NUMBERS_READ_MAX
from number_orders.carriers.contract import CarrierAnswer, Purpose
from number_orders.orders.errors import Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    Event,
    Filled,
    FilledWithErrors,
    NotListed,
    NotSent,
    Parked,
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import Criteria, Kind, NumberResult, NumberState, Order, OrderRequest, WhenTainted
from number_orders.orders.numbers import E164
from tests.unit.carriers.bandwidth.examples import (
    BANDWIDTH,
    HTML,
    OTHER,
    REFERENCE,
    THEIRS,
    A,
    B,
    C,
    a_request,
    an_order,
    answered,
    error,
    lost,
    next_link,
    number_of,
)
from tests.unit.carriers.conversations import converse

DISCONNECTS = "/api/v2/accounts/9900000/disconnects"
NOT_OURS = "The telephone number could not be disconnected since it is not associated with your account"
DOUBTED_AT = datetime(2026, 1, 2, 0, 0, 50, tzinfo=UTC)


def a_removal(*numbers: E164, **more: Any) -> OrderRequest:
    return replace(a_request(*numbers), kind=Kind.REMOVE_NUMBERS, **more)


def removing(*numbers: E164, **more: Any) -> Order:
    return an_order(a_removal(*numbers), **more)


def shown(
    status: str | None, *, gone: tuple[str, ...] = (), errors: str = "", order_id: str = THEIRS, ref: str = REFERENCE
) -> str:
    """Return the body of GET /disconnects/{id}, with lists only if they have entries."""
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in gone)
    return (
        "<DisconnectTelephoneNumberOrderResponse>"
        + (f"<DisconnectedTelephoneNumberList>{listed}</DisconnectedTelephoneNumberList>" if gone else "")
        + (f"<ErrorList>{errors}</ErrorList>" if errors else "")
        + f"<orderRequest><CustomerOrderId>{ref}</CustomerOrderId>"
        + (f"<id>{order_id}</id>" if order_id else "")
        + "<DisconnectTelephoneNumberOrderType><TelephoneNumberList><TelephoneNumber>+19195550999</TelephoneNumber>"
        "</TelephoneNumberList></DisconnectTelephoneNumberOrderType></orderRequest>"
        + (f"<OrderStatus>{status}</OrderStatus>" if status else "")
        + "</DisconnectTelephoneNumberOrderResponse>"
    )


def freed(number: E164, code: str | None = None, text: str | None = None) -> NumberResult:
    return NumberResult(number, NumberState.RELEASED, code, text)


def listing(*items: tuple[str, str], following: str = "") -> str:
    inner = "".join(
        f"<OrderIdUserIdDate><CountOfTNs>1</CountOfTNs><OrderDate>{date}</OrderDate><OrderType>disconnect</OrderType>"
        f"<OrderId>{order}</OrderId><OrderStatus>COMPLETE</OrderStatus></OrderIdUserIdDate>"
        for order, date in items
    )
    return (
        f"<ResponseSelectWrapper><ListOrderIdUserIdDate><TotalCount>{len(items)}</TotalCount>"
        f"<Links>{following}</Links>{inner}</ListOrderIdUserIdDate></ResponseSelectWrapper>"
    )


def sent(answer: CarrierAnswer, *numbers: E164, **more: Any) -> Event:
    order = removing(*(numbers or (A, B)), carrier_order_id=None, **more)
    event, _ = converse(BANDWIDTH.submit(order), answer, held=(A, B, C))
    return event


def asked(body: str, *numbers: E164, **more: Any) -> Event:
    order = removing(*(numbers or (A, B)), **more)
    event, requests = converse(BANDWIDTH.ask(order), answered(200, body), held=(A, B, C))
    assert [(r.method, r.path, r.purpose) for r in requests] == [("GET", f"{DISCONNECTS}/{THEIRS}", Purpose.READ)]
    return event


class TestRules:
    @pytest.mark.parametrize(
        "request_",
        [
            a_removal(A),
            a_removal(A, B, name="n" * 50, options={"protected": "FALSE"}),
            a_removal(E164("+441224003845")),
        ],
    )
    def test_a_good_removal_has_no_faults(self, request_: OrderRequest) -> None:
        assert BANDWIDTH.check(request_) == ()

    @pytest.mark.parametrize(
        ("request_", "field", "says"),
        [
            (a_removal(criteria=Criteria(npa="919"), quantity=2), "criteria", "name the numbers"),
            (a_removal(A, A), "numbers", "once"),
            (a_removal(*(E164(f"+1919{n:07}") for n in range(2_000_000, 2_005_001))), "numbers", "5000"),
            (a_removal(A, when_tainted=WhenTainted.SPLIT), "when_tainted", "no taint window"),
            (a_removal(A, allow_partial=False), "allow_partial", "number by number"),
            (a_removal(A, allow_backorder=True), "allow_backorder", "new numbers"),
            (a_removal(A, account="west"), "account", "not offered"),
            (a_removal(A, range_size=10), "range_size", "not offered"),
            (a_removal(A, name="n" * 51), "name", "1 to 50"),
            (a_removal(A, options={"site_id": "743"}), "options.site_id", "unknown for removals"),
            (a_removal(A, options={"disconnect_mode": "PURGE"}), "options.disconnect_mode", "unknown"),
            (a_removal(A, options={"protected": "perhaps"}), "options.protected", "TRUE, FALSE, UNCHANGED"),
            (a_removal(A, options={"protected": True}), "options.protected", "TRUE, FALSE, UNCHANGED"),
            (a_removal(E164("+441224003845"), options={"protected": "TRUE"}), "options.protected", "North American"),
        ],
    )
    def test_a_bad_removal_is_refused_by_field_and_rule(self, request_: OrderRequest, field: str, says: str) -> None:
        (fault,) = BANDWIDTH.check(request_)
        assert fault.field == field
        assert says in fault.rule


class TestSending:
    def test_one_commit_with_our_reference_and_the_numbers(self) -> None:
        order = an_order(a_removal(A, B, name="A & B", options={"protected": "FALSE"}), carrier_order_id=None)

        event, (request,) = converse(BANDWIDTH.submit(order), answered(201, shown("RECEIVED")))

        assert event == Acknowledged(THEIRS, "RECEIVED")
        assert (request.method, request.path, request.purpose) == ("POST", DISCONNECTS, Purpose.COMMIT)
        root = fromstring(request.body)
        assert root.tag == "DisconnectTelephoneNumberOrder"
        assert (root.findtext("Name"), root.findtext("CustomerOrderId")) == ("A & B", REFERENCE)
        kind = root.find("DisconnectTelephoneNumberOrderType")
        assert kind is not None
        assert [n.text for n in kind.iterfind("TelephoneNumberList/TelephoneNumber")] == [A, B]
        assert (kind.findtext("DisconnectMode"), kind.findtext("Protected")) == ("normal", "FALSE")

    def test_without_a_name_it_is_named_after_the_order(self) -> None:
        _, (request,) = converse(BANDWIDTH.submit(removing(A)), answered(201, shown("RECEIVED")))
        root = fromstring(request.body)
        assert root.findtext("Name") == REFERENCE
        assert root.find(".//Protected") is None

    @pytest.mark.parametrize(
        ("answer", "event"),
        [
            (answered(201, location=f"https://x/y/disconnects/{THEIRS}"), Acknowledged(THEIRS)),
            (answered(401), NotSent("HTTP 401: the credentials were not accepted")),
        ],
    )
    def test_plain_answers_to_a_removal(self, answer: CarrierAnswer, event: Event) -> None:
        assert sent(answer) == event

    @pytest.mark.parametrize(
        "answer",
        [
            answered(201),
            answered(201, location=f"https://x/y/orders/{THEIRS}"),
            answered(201, shown("RECEIVED", ref="another")),
            answered(201, "<OrderResponse><OrderStatus>RECEIVED</OrderStatus></OrderResponse>"),
            answered(400, shown(None, order_id="", errors=error("5086", "timed out"))),
            answered(400, shown(None, errors=error("5006", NOT_OURS))),  # with an id: it was made after all
            answered(500),
            answered(502, HTML),
        ],
    )
    def test_unclear_answers_to_a_removal_are_lost_answers(self, answer: CarrierAnswer) -> None:
        assert isinstance(sent(answer), AnswerLost)

    def test_a_refusal_names_the_numbers_that_it_is_about(self) -> None:
        body = shown(None, order_id="", errors=error("5001", "Invalid", A) + error("5093", "Twice"))
        assert sent(answered(400, body)) == Refused(
            "Invalid", "5001", None, (lost(A, "5001", "Invalid"), lost(B, "5093", "Twice"))
        )

    def test_not_ours_is_a_refusal_and_after_a_loss_a_success(self) -> None:
        body = shown(None, order_id="", errors=error("5006", NOT_OURS, A) + error("5074", "Gone", B))

        assert isinstance(sent(answered(400, body)), Refused)
        assert sent(answered(400, body), losses=1, sends=2) == Filled(
            "5006", (freed(A, "5006", NOT_OURS), freed(B, "5074", "Gone"))
        )

    def test_a_refusal_after_a_loss_may_be_about_the_rest(self) -> None:
        body = shown(None, order_id="", errors=error("5001", "Invalid", A) + error("5076", "Gone", B))
        assert sent(answered(400, body), losses=1) == PartlyFilled(
            "5001", (lost(A, "5001", "Invalid"), freed(B, "5076", "Gone")), "1 of 2 numbers were disconnected: Invalid"
        )


class TestAsking:
    @pytest.mark.parametrize("status", ["RECEIVED", "PROCESSING", "SUBMITTED"])
    def test_a_removal_is_open_until_it_ends(self, status: str) -> None:
        assert asked(shown(status)) == StillOpen(status)

    def test_code_5019_means_open(self) -> None:
        assert asked(shown("FAILED", errors=error("5019", "Pending"))) == StillOpen("FAILED", detail="5019: Pending")

    @pytest.mark.parametrize("status", ["BACKORDERED", "CANCELLED", "DONE"])
    def test_an_unknown_status_of_a_removal_is_open_and_marked(self, status: str) -> None:
        assert asked(shown(status, gone=(A, B))) == StillOpen(status, unheard_of=True)

    def test_complete_means_every_number_in_any_order(self) -> None:
        assert asked(shown("COMPLETE", gone=("9195550101", A))) == Filled("COMPLETE", (freed(A), freed(B)))

    def test_partial_has_a_result_for_each_number(self) -> None:
        body = shown("PARTIAL", gone=(B,), errors=error("5006", NOT_OURS, "9195550100"))
        assert asked(body) == PartlyFilled(
            "PARTIAL", (lost(A, "5006", NOT_OURS), freed(B)), f"1 of 2 numbers were disconnected: {NOT_OURS}"
        )

    def test_failed_is_a_refusal(self) -> None:
        body = shown("FAILED", errors=error("5006", NOT_OURS, A) + error("5006", NOT_OURS, B))
        assert asked(body) == Refused(
            NOT_OURS, "5006", "FAILED", (lost(A, "5006", NOT_OURS), lost(B, "5006", NOT_OURS))
        )

    def test_after_a_loss_not_ours_means_released_before(self) -> None:
        body = shown("FAILED", errors=error("5006", NOT_OURS, A) + error("5006", NOT_OURS, B))
        assert asked(body, losses=1) == Filled("FAILED", (freed(A, "5006", NOT_OURS), freed(B, "5006", NOT_OURS)))
        by_a_person = asked(body, sends=2, doubt_since=DOUBTED_AT)
        assert by_a_person == Filled("FAILED", (freed(A, "5006", NOT_OURS), freed(B, "5006", NOT_OURS)))

    def test_after_a_loss_other_failures_are_failures(self) -> None:
        body = shown("PARTIAL", gone=(A,), errors=error("5006", NOT_OURS, B) + error("5003", "Provisioning", C))
        assert asked(body, A, B, C, losses=1) == PartlyFilled(
            "PARTIAL",
            (freed(A), freed(B, "5006", NOT_OURS), lost(C, "5003", "Provisioning")),
            "2 of 3 numbers were disconnected: Provisioning",
        )

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (shown("COMPLETE", gone=(A,), errors=error("5003", "Failure", B)), "reports 5003: Failure"),
            (
                shown("COMPLETE", gone=(A, B), errors=error("5003", "Failure", B)),
                "1 number both as disconnected",
            ),
            (shown("COMPLETE", gone=(A, B, C)), "1 number that the order does not name"),
            (shown("COMPLETE", gone=(A, B, "a few")), "1 of its numbers cannot be read"),
            (shown("PARTIAL", gone=(A, B)), "it disconnected 2 of 2 numbers"),
            (shown("PARTIAL", errors=error("5006", NOT_OURS)), "it disconnected 0 of 2 numbers"),
            (shown("FAILED", gone=(A,)), "it disconnected 1 of 2 numbers"),
        ],
    )
    def test_contradictions_end_with_errors(self, body: str, says: str) -> None:
        event = asked(body)
        assert isinstance(event, FilledWithErrors)
        assert says in event.reason

    @pytest.mark.parametrize("status", ["COMPLETE", "PARTIAL"])
    def test_a_number_that_is_not_mentioned_is_looked_up(self, status: str) -> None:
        event, requests = converse(
            BANDWIDTH.ask(removing(A, B)), answered(200, shown(status, gone=(A,))), about("Inservice")
        )
        assert requests[-1].path == f"/api/v2/tns/%2B{B[1:]}"
        assert isinstance(event, FilledWithErrors if status == "COMPLETE" else PartlyFilled)
        kept = NumberResult(
            B, NumberState.FAILED, None, "not disconnected: the carrier shows the number as Inservice on this account"
        )
        assert event.numbers == (freed(A), kept)

    @pytest.mark.parametrize("look", [answered(404), lambda: about("Aging"), lambda: about("Inservice", "5")])
    def test_a_number_that_is_gone_was_disconnected(self, look: CarrierAnswer | Callable[[], CarrierAnswer]) -> None:
        reply = look if isinstance(look, CarrierAnswer) else look()
        event, _ = converse(BANDWIDTH.ask(removing(A, B)), answered(200, shown("COMPLETE", gone=(A,))), reply)
        assert event == Filled("COMPLETE", (freed(A), freed(B)))

    def test_a_number_that_cannot_be_looked_up_stays_requested(self) -> None:
        event, _ = converse(BANDWIDTH.ask(removing(A, B)), answered(200, shown("COMPLETE", gone=(A,))), answered(403))
        assert isinstance(event, FilledWithErrors)
        assert "says nothing of 1 number" in event.reason
        assert event.numbers[0] == freed(A)
        assert event.numbers[1].state is NumberState.REQUESTED
        assert str(event.numbers[1].text).startswith("not known: ")

    def test_a_failed_removal_without_errors_says_so_of_each_number(self) -> None:
        event = asked(shown("FAILED"))
        assert isinstance(event, Refused)
        assert {result.text for result in event.numbers} == {"the carrier gave no reason"}

    def test_a_removal_answered_404_is_open_and_marked(self) -> None:
        event, _ = converse(BANDWIDTH.ask(removing(A)), answered(404))
        assert isinstance(event, StillOpen)
        assert event.unheard_of

    @pytest.mark.parametrize("body", [shown(None), shown("COMPLETE", order_id=OTHER), "<OrderResponse/>", "no XML"])
    def test_an_unreadable_removal_ends_nothing(self, body: str) -> None:
        with pytest.raises(UnreadableAnswer):
            asked(body)

    @pytest.mark.parametrize("answer", [answered(503), answered(200), answered(200, HTML), answered(403)])
    def test_an_error_is_no_answer(self, answer: CarrierAnswer) -> None:
        with pytest.raises(NoAnswer):
            converse(BANDWIDTH.ask(removing(A)), answer)

    def test_a_removal_without_a_carrier_order_id_is_a_mistake(self) -> None:
        with pytest.raises(Mistake):
            next(BANDWIDTH.ask(removing(A, carrier_order_id=None)))


def about(status: str, account: str = "9900000") -> CarrierAnswer:
    """Return what Bandwidth shows of a number."""
    return answered(200, number_of(OTHER, account).replace("Inservice", status))


class TestAfterALoss:
    """ "Not ours": disconnected by the send whose answer was lost, or never ours."""

    ONE_STRANGE = shown("FAILED", errors=error("5006", NOT_OURS, A) + error("5006", NOT_OURS, B))

    @pytest.mark.parametrize("answer", [answered(404), answered(403), about("Aging", "5"), about("Inservice")])
    def test_a_number_that_was_never_ours_has_failed(self, answer: CarrierAnswer) -> None:
        order = removing(A, B, losses=1)

        event, requests = converse(BANDWIDTH.ask(order), answered(200, self.ONE_STRANGE), answer, held=(A,))

        assert requests[-1].path == "/api/v2/tns/%2B19195550101"
        assert event == PartlyFilled(
            "FAILED",
            (freed(A, "5006", NOT_OURS), lost(B, "5006", NOT_OURS)),
            f"1 of 2 numbers were disconnected: {NOT_OURS}",
        )

    @pytest.mark.parametrize("status", ["Aging", "Disconnected"])
    def test_a_number_that_bandwidth_shows_as_formerly_ours_is_released(self, status: str) -> None:
        order = removing(A, B, losses=1)

        event, _ = converse(BANDWIDTH.ask(order), answered(200, self.ONE_STRANGE), about(status), held=(A,))

        assert event == Filled("FAILED", (freed(A, "5006", NOT_OURS), freed(B, "5006", NOT_OURS)))

    def test_a_refusal_of_numbers_that_were_never_ours_is_a_refusal(self) -> None:
        body = shown(None, order_id="", errors=error("5006", NOT_OURS, A))
        order = removing(A, carrier_order_id=None, losses=1, sends=2)

        event, _ = converse(BANDWIDTH.submit(order), answered(400, body), answered(404))

        assert event == Refused(NOT_OURS, "5006", None, (lost(A, "5006", NOT_OURS),))

    def test_only_the_first_unknown_numbers_are_looked_up(self) -> None:
        numbers = tuple(E164(f"+1919555{n:04}") for n in range(UNKNOWN_NUMBERS_READ_MAX + 5))
        body = shown("FAILED", errors=error("5006", NOT_OURS))
        order = removing(*numbers, losses=1)

        event, requests = converse(
            BANDWIDTH.ask(order), answered(200, body), *[answered(404)] * UNKNOWN_NUMBERS_READ_MAX, held=numbers[-1:]
        )

        assert len(requests) == 1 + UNKNOWN_NUMBERS_READ_MAX
        assert isinstance(event, PartlyFilled)
        assert {each.e164 for each in event.numbers if each.state is NumberState.RELEASED} == set(numbers[-5:])

    @pytest.mark.parametrize("trouble", [answered(500), answered(401), answered(200, HTML)])
    def test_there_is_no_end_before_an_unknown_number_was_looked_up(self, trouble: CarrierAnswer) -> None:
        with pytest.raises(NoAnswer):
            converse(BANDWIDTH.ask(removing(A, B, losses=1)), answered(200, self.ONE_STRANGE), trouble, held=(A,))


def test_a_disconnect_with_another_reference_is_parked() -> None:
    """Adopted under a wrong id: a person decides again, and sees whose it is."""
    event, _ = converse(BANDWIDTH.ask(removing(A)), answered(200, shown("COMPLETE", gone=(A,), ref="theirs")))

    assert isinstance(event, Parked)
    assert "'theirs'" in event.reason
    assert f"{THEIRS}" in event.reason


class TestLooking:
    ORDER = removing(A, carrier_order_id=None, losses=1, doubt_since=DOUBTED_AT)

    def look(self, *answers: CarrierAnswer | str) -> tuple[Event, list[str]]:
        given = (each if isinstance(each, CarrierAnswer) else answered(200, each) for each in answers)
        event, requests = converse(BANDWIDTH.look_for(self.ORDER), *given)
        assert {request.purpose for request in requests} == {Purpose.READ}
        return event, [request.path.removeprefix(DISCONNECTS) for request in requests]

    def test_candidates_are_read_nearest_in_time_first(self) -> None:
        page = listing(
            ("far", "2026-01-02T00-00-09Z"), (OTHER, "2026-01-02T00-01-10Z"), (THEIRS, "2026-01-02T00-00-49Z")
        )
        event, paths = self.look(page, shown("RECEIVED", ref="x"), shown("COMPLETE", order_id=OTHER))
        assert event == Acknowledged(OTHER, "COMPLETE")
        assert paths == ["", f"/{THEIRS}", f"/{OTHER}"]

    def test_only_the_days_in_question_are_asked_for(self) -> None:
        _, (request,) = converse(BANDWIDTH.look_for(self.ORDER), answered(404))
        assert request.query == {"page": "1", "size": "1000", "startdate": "26-01-01", "enddate": "26-01-03"}

    def test_if_dates_are_refused_all_days_are_read(self) -> None:
        event, paths = self.look(answered(400), listing((THEIRS, "2026-01-02T00-00-49Z")), shown("PARTIAL"))
        assert event == Acknowledged(THEIRS, "PARTIAL")
        assert paths == ["", "", f"/{THEIRS}"]

    @pytest.mark.parametrize(
        "answer", [answered(404), answered(404, listing()), answered(204), answered(200, listing())]
    )
    def test_a_404_for_the_list_means_not_listed(self, answer: CarrierAnswer) -> None:
        assert self.look(answer)[0] == NotListed("the disconnects of that time, of which 0 were read")

    def test_other_references_and_older_disconnects_are_not_ours(self) -> None:
        page = listing(
            ("old", "2026-01-01T22-00-00Z"), ("../etc", "2026-01-02T00-00-01Z"), (OTHER, "2026-01-02T00-00-01Z")
        )
        assert self.look(page, answered(403)) == (
            NotListed("the disconnects of that time, of which 1 were read"),
            ["", f"/{OTHER}"],
        )

    def test_further_pages_of_disconnects_are_read(self) -> None:
        first = listing(("a-1", "2026-01-02T00-00-01Z"), following=next_link("p2"))
        event, paths = self.look(
            first, listing((THEIRS, "2026-01-02T00-00-49Z"), following=next_link("p2")), shown("RECEIVED")
        )
        assert event == Acknowledged(THEIRS, "RECEIVED")
        assert paths == ["", "", f"/{THEIRS}"]

    def test_the_number_of_pages_and_candidates_is_limited(self) -> None:
        many = listing(*((f"id-{n}", "2026-01-02T00-00-49Z") for n in range(DISCONNECTS_READ_MAX + 30)))
        others = [answered(404)] * DISCONNECTS_READ_MAX
        assert self.look(many, *others)[0] == NotListed("the disconnects of that time, of which 20 were read")

    def test_an_unreadable_list_is_no_answer(self) -> None:
        with pytest.raises(NoAnswer):
            self.look(answered(503))

    def test_an_order_without_a_moment_of_doubt_can_be_looked_for(self) -> None:
        order = replace(self.ORDER, doubt_since=None, accepted_at=DOUBTED_AT - timedelta(days=400))
        event, _ = converse(BANDWIDTH.look_for(order), answered(404))
        assert isinstance(event, NotListed)
