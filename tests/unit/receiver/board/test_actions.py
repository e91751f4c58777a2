"""An order's page offers what makes sense, and asks for the key where money can move."""

from typing import Any, cast

import pytest

from number_orders.carriers.cancellation import Cancellation
from number_orders.fulfilment.service import OrderService
from number_orders.orders.events import Acknowledged, AnswerLost, Parked, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, Order
from number_orders.receiver.board.actions import ActionForm, forms
from number_orders.story.advice import Action
from tests.unit.story.stories import story_of


class Orders:
    """Knows whether orders can be cancelled at their carrier."""

    def __init__(self, answer: Cancellation) -> None:
        self._answer = answer

    def cancellation(self, order: Order) -> Cancellation:
        return self._answer


def offered(*events: Any, cancellation: Cancellation = Cancellation.OFFERED) -> dict[Action, ActionForm]:
    orders = cast("OrderService", Orders(cancellation))
    return {form.action: form for form in forms(story_of(*events), orders)}


def test_cancel_is_offered_only_where_it_works() -> None:
    is_open = (SubmissionBegun(), Acknowledged(CarrierOrderId("b-1")))
    assert offered(*is_open)[Action.CANCEL].needs_key
    assert offered(*is_open, cancellation=Cancellation.ONCE_BACKORDERED)[Action.CANCEL].needs_key
    assert Action.CANCEL not in offered(*is_open, cancellation=Cancellation.NONE)


def test_cancelling_before_anything_was_sent_moves_no_money() -> None:
    assert not offered()[Action.CANCEL].needs_key


@pytest.mark.parametrize("action", [Action.ADOPT, Action.SEND_AGAIN, Action.CLOSE])
def test_decisions_about_parked_orders_need_the_key_and_a_reason(action: Action) -> None:
    form = offered(SubmissionBegun(), AnswerLost("timeout"), Parked("a person decides"))[action]
    assert form.needs_key
    assert form.needs_why


def test_trying_now_needs_nothing() -> None:
    form = offered(SubmissionBegun(), AnswerLost("timeout"))[Action.RETRY]
    assert not form.needs_key
    assert not form.needs_why
