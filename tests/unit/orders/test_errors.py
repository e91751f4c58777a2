from datetime import timedelta

import pytest

from number_orders.orders import errors
from number_orders.orders.errors import (
    Fault,
    FulfilmentError,
    IllegalTransition,
    KeyConflict,
    LedgerUnavailable,
    Mistake,
    NoAnswer,
    NotOffered,
    OrderRefused,
    Passing,
    UnknownOrder,
    UnreadableAnswer,
)
from tests.unit.orders.lifecycle_examples import NOON

RAISED = [
    thing
    for thing in vars(errors).values()
    if isinstance(thing, type) and issubclass(thing, FulfilmentError) and thing is not FulfilmentError
]


@pytest.mark.parametrize("error", RAISED)
def test_every_error_is_in_the_tree_in_the_module_docstring(error: type[FulfilmentError]) -> None:
    """Code that catches errors is written from this tree."""
    assert f"── {error.__name__} " in f"{errors.__doc__}".replace("\n", " \n")


def test_errors_that_need_the_same_decision_share_a_class() -> None:
    """Bugs of ours need a person, passing trouble needs time."""
    assert {IllegalTransition, NotOffered} <= set(Mistake.__subclasses__())
    assert {LedgerUnavailable, NoAnswer} <= set(Passing.__subclasses__())
    assert issubclass(KeyConflict, OrderRefused)


def test_a_refusal_names_every_field_and_its_rule() -> None:
    """A producer can correct all of them at once."""
    refused = OrderRefused([Fault("quantity", "must be at most 5000"), Fault("numbers.0", "must be E.164")])

    assert str(refused) == "quantity: must be at most 5000; numbers.0: must be E.164"
    assert [fault.field for fault in refused.faults] == ["quantity", "numbers.0"]


def test_messages_name_the_order_and_its_state() -> None:
    """The log line alone says which order it was and what was tried."""
    assert str(IllegalTransition("0199", "COMPLETED", "AnswerLost")) == (
        "order 0199 is COMPLETED: AnswerLost cannot happen to it"
    )
    assert str(UnknownOrder("0199")) == "no order 0199 in the ledger"


def test_no_answer_keeps_the_time_that_the_carrier_gave() -> None:
    """If it gave one."""
    assert NoAnswer("429", not_before=NOON + timedelta(minutes=1)).not_before == NOON + timedelta(minutes=1)
    assert NoAnswer("timed out").not_before is None


def test_an_unreadable_answer_shows_only_its_beginning() -> None:
    """A person reads the alarm. The receipt keeps the rest."""
    answer = UnreadableAnswer("bandwidth", "not an order", b"<html>" * 100)

    assert str(answer) == "bandwidth: not an order"
    assert answer.excerpt == (b"<html>" * 100)[:200]
