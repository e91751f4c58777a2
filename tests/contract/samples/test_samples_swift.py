"""Swift's page "Number Ordering": what it prints is what the sandbox takes and answers."""

import json
from typing import Any, Final

import pytest

from tests.contract.samples.conftest import Send
from tests.contract.samples.index import Role, of, sample
from tests.contract.samples.shapes import json_shape

CART, CART_ANSWER = "swift/02-cart.json", "swift/03-cart-answer.json"
CHECKOUTS: Final = ("swift/06-checkout-answer.json", "swift/10-checkout-answer.json")
COVERAGE: Final = ("swift/01-coverage-answer.json", "swift/07-coverage-answer-value-twice.json")
REQUESTS: Final[dict[str, str | None]] = {
    "swift/04-new-numbers.json": "swift/05-new-numbers-answer.json",
    "swift/08-remove-numbers.json": "swift/09-remove-numbers-answer.json",
    "swift/11-add-messaging-numbers.json": None,
}
"""Requests for a cart, and their answers; that to the last one is cut off on the page."""
BROKEN: Final = "swift/11-add-messaging-numbers.broken.json"


def printed(file: str) -> Any:
    """Return what the page prints, read."""
    return json.loads(sample(file).body)


def a_cart(send: Send) -> str:
    """Make a cart with the printed request, and return its id."""
    answer = send(sample(CART).line, sample(CART).body)
    assert answer.status_code == sample(CART_ANSWER).status
    assert json_shape(answer.json()) == json_shape(printed(CART_ANSWER))
    cart_id: str = answer.json()["data"]["id"]
    return cart_id


def test_every_sample_is_expected_somewhere() -> None:
    answers = {CART_ANSWER, *CHECKOUTS, *COVERAGE, *filter(None, REQUESTS.values())}
    assert answers == of("swift", Role.ANSWER)
    assert {CART, *REQUESTS} == of("swift", Role.REQUEST)
    assert {BROKEN} == of("swift", Role.BROKEN_REQUEST)


@pytest.mark.parametrize("file", REQUESTS)
def test_the_sandbox_takes_every_printed_request_and_answers_in_the_printed_shape(send: Send, file: str) -> None:
    answer = send(sample(file).line, sample(file).body, cart_id=a_cart(send))
    assert answer.status_code == 201, answer.text
    if like := REQUESTS[file]:
        assert json_shape(answer.json()) == json_shape(printed(like))
        assert answer.json()["data"]["type"] == printed(like)["data"]["type"]
        assert answer.json()["data"]["data"] == printed(like)["data"]["data"] == {}


@pytest.mark.parametrize("like", CHECKOUTS)
def test_the_sandbox_checks_out_as_printed(send: Send, like: str) -> None:
    cart_id = a_cart(send)
    first = next(iter(REQUESTS))
    assert send(sample(first).line, sample(first).body, cart_id=cart_id).status_code == 201
    answer = send(sample(like).line, cart_id=cart_id)
    assert answer.status_code == sample(like).status
    assert json_shape(answer.json()) == json_shape(printed(like))
    for name in ("status", "error_code", "completed_at", "notes"):
        assert answer.json()["data"][name] == printed(like)["data"][name]
    assert answer.json()["data"]["id"] == cart_id


@pytest.mark.parametrize("like", COVERAGE)
def test_the_sandbox_counts_as_printed(send: Send, like: str) -> None:
    answer = send(sample(like).line)
    assert answer.status_code == sample(like).status
    assert {path.rpartition(".value")[0] or path for path in json_shape(answer.json())} == {
        path.rpartition(".value")[0] or path for path in json_shape(printed(like))
    }


def test_the_broken_request_is_refused_and_adds_nothing(send: Send) -> None:
    cart_id = a_cart(send)
    answer = send(sample(BROKEN).line, sample(BROKEN).body, cart_id=cart_id)
    assert answer.status_code == 400
    assert send("GET /api/v1/carts/{cart_id}/requests", cart_id=cart_id).json()["data"]["items"] == []
