"""Bandwidth's page "Order Numbers": we write and read what it prints, and the sandbox does the same."""

from dataclasses import replace
from typing import Final

import pytest

from number_orders.carriers.contract import CarrierAnswer
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, AnswerLost, Event, Filled, FilledWithErrors
from number_orders.orders.model import CarrierOrderId
from number_orders.orders.numbers import E164
from tests.contract.samples.conftest import Send
from tests.contract.samples.index import OTHER_LINES, SAMPLES, Role, of, sample
from tests.contract.samples.shapes import first_request, xml_values
from tests.unit.carriers.bandwidth.examples import (
    BANDWIDTH,
    REFERENCE,
    a_request,
    acquired,
    an_order,
    answered,
    named,
    own_list,
)
from tests.unit.carriers.conversations import converse

ORDER, ORDER_ANSWER, STATUS_ANSWER = (
    "bandwidth/04-order.xml",
    "bandwidth/05-order-answer.xml",
    "bandwidth/06-order-status-answer.xml",
)
THEIRS: Final = CarrierOrderId("0aac5809-a57f-4cf8-a5ad-d0c458e6e317")
BRITISH: Final = E164("+448000488968")

SUBMITTED: Final[dict[str, Event]] = {ORDER_ANSWER: Acknowledged(THEIRS, "RECEIVED")}
"""Answers to a submission that we made."""
ASKED: Final = {STATUS_ANSWER}
"""Answers that contradict themselves: they are settled by the order's own list of numbers."""
SEARCHED: Final = {"bandwidth/02-search-gbr-answer.xml", "bandwidth/03-search-raleigh-answer.xml"}
RESTRICTIONS: Final = {"bandwidth/01-restrictions-answer.xml"}


def printed(file: str, reference: str = REFERENCE) -> CarrierAnswer:
    """Return a printed answer, with our reference in place of the page's."""
    one = sample(file)
    assert one.status is not None
    return answered(one.status, one.body.replace(b"123456789", reference.encode()))


def test_every_answer_is_expected_somewhere() -> None:
    assert {*SUBMITTED, *ASKED, *SEARCHED, *RESTRICTIONS} == of("bandwidth", Role.ANSWER)
    assert {ORDER} == of("bandwidth", Role.REQUEST)


@pytest.mark.parametrize("file", sorted(SUBMITTED))
def test_a_printed_answer_to_a_submission_is_read_correctly(file: str) -> None:
    order = named(E164("+441224003845"), carrier_order_id=None)
    event, _ = converse(BANDWIDTH.submit(order), printed(file))
    assert event == SUBMITTED[file]


def test_an_answer_about_another_order_is_not_believed() -> None:
    event, _ = converse(BANDWIDTH.submit(named(BRITISH)), printed(ORDER_ANSWER, reference="123456789"))
    assert isinstance(event, AnswerLost)


@pytest.mark.parametrize(
    ("true_list", "end"),
    [
        (answered(200, own_list(BRITISH)), Filled("COMPLETED", acquired(BRITISH))),
        (
            answered(404),
            FilledWithErrors(
                "COMPLETED",
                acquired(BRITISH),
                "the carrier says COMPLETED, yet keeps no list of its numbers",
            ),
        ),
    ],
    ids=["its list has the number", "it keeps no list"],
)
def test_the_printed_contradiction_is_settled_by_the_orders_own_list(true_list: CarrierAnswer, end: Event) -> None:
    """COMPLETED, CompletedQuantity 0, FailedQuantity 1, and the number among the completed ones."""
    order = named(BRITISH, carrier_order_id=THEIRS)
    event, asked = converse(BANDWIDTH.ask(order), printed(STATUS_ANSWER), true_list)
    assert event == end
    assert asked[1].path.endswith(f"/orders/{THEIRS}/tns")


@pytest.mark.parametrize(
    "file", sorted(one.file for one in SAMPLES if one.carrier != "cm" and one.file not in {ORDER_ANSWER, STATUS_ANSWER})
)
def test_an_answer_to_another_question_moves_no_order(file: str) -> None:
    answer = answered(200, sample(file).body)
    with pytest.raises((NoAnswer, UnreadableAnswer)):
        converse(BANDWIDTH.ask(named(BRITISH)), answer)
    with pytest.raises((NoAnswer, UnreadableAnswer)):
        converse(BANDWIDTH.look_for(named(BRITISH)), answer)
    event, _ = converse(BANDWIDTH.submit(named(BRITISH)), answer)
    assert isinstance(event, AnswerLost)


def test_the_printed_order_is_what_we_write_for_it() -> None:
    options = {
        "site_id": "743",
        "voice_configuration_package_id": "d21315af-9b5b-4b45-a6f4-9106cbfe87d1",
        "requirements_package_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "auto_activate": True,
    }
    request = replace(a_request(E164("+441224003845")), name="UK Number Order", options=options)
    assert BANDWIDTH.check(request) == ()

    posted = first_request(BANDWIDTH.submit(an_order(request)))

    method, _, path = sample(ORDER).line.partition(" ")
    assert (posted.method, posted.path) == (method, path.format(accountId="9900000"))
    said_aloud = {"/Order/PartialAllowed": ["true"], "/Order/BackOrderRequested": ["false"]}
    as_printed = sample(ORDER).body.replace(b"123456789", REFERENCE.encode()).replace(b"{siteId}", b"743")
    assert xml_values(posted.body) == xml_values(as_printed) | said_aloud


def test_the_sandbox_takes_the_printed_order_and_answers_in_the_printed_shape(send: Send) -> None:
    made = send(sample(ORDER).line, sample(ORDER).body.replace(b"{siteId}", b"743"))
    assert made.status_code == sample(ORDER_ANSWER).status
    ours, theirs = xml_values(made.content), xml_values(sample(ORDER_ANSWER).body)
    assert set(ours) == set(theirs)

    order_id = ours["/OrderResponse/Order/id"][0]
    shown = send(sample(STATUS_ANSWER).line, orderId=order_id)
    assert shown.status_code == sample(STATUS_ANSWER).status
    assert set(xml_values(shown.content)) == set(xml_values(sample(STATUS_ANSWER).body))


@pytest.mark.parametrize("file", sorted(SEARCHED))
def test_the_sandbox_finds_what_the_page_found(send: Send, file: str) -> None:
    answer = send(sample(file).line)
    assert answer.status_code == sample(file).status
    found, theirs = xml_values(answer.content), xml_values(sample(file).body)
    assert set(found) == set(theirs)
    assert found["/SearchResult/ResultCount"] == theirs["/SearchResult/ResultCount"]


@pytest.mark.parametrize("line", OTHER_LINES)
def test_the_sandbox_takes_every_printed_search(send: Send, line: str) -> None:
    answer = send(line)
    assert answer.status_code == 200
    assert xml_values(answer.content)["/SearchResult/ResultCount"] == ["5"]
