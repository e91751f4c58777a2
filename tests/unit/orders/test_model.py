from dataclasses import replace

import pytest

from number_orders.orders.model import (
    FINAL_STATES,
    CarrierName,
    Criteria,
    Kind,
    Notify,
    NumberResult,
    NumberState,
    OrderRequest,
    State,
    count_done,
)
from tests.unit.orders.lifecycle_examples import DURHAM, RALEIGH, an_order


def test_the_final_states_are_the_five_that_producers_are_promised() -> None:
    """One more or less would change the contract."""
    assert {state.value for state in State if state.is_final} == {
        "COMPLETED",
        "PARTIAL",
        "COMPLETED_WITH_ERRORS",
        "FAILED",
        "CANCELLED",
    }


def test_a_producer_is_notified_of_every_final_state_by_default() -> None:
    """It need not list the states."""
    assert Notify(task="crm.notified").on == FINAL_STATES


def test_criteria_know_which_of_them_are_given() -> None:
    """Set to false is given. Left out is not."""
    assert Criteria(npa="919", local_calling_area=False).given() == {"npa", "local_calling_area"}
    assert Criteria().given() == frozenset()


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        pytest.param(
            OrderRequest("k", CarrierName("bandwidth"), Kind.NEW_NUMBERS, numbers=(RALEIGH, DURHAM)), 2, id="named"
        ),
        pytest.param(
            OrderRequest("k", CarrierName("bandwidth"), Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=5),
            5,
            id="sought",
        ),
    ],
)
def test_the_wanted_quantity_is_counted_or_given(request_: OrderRequest, wanted: int) -> None:
    """Numbers asked for by name are counted. Otherwise the producer gives the quantity."""
    assert request_.wanted == wanted


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        (Kind.NEW_NUMBERS, {NumberState.ACQUIRED, NumberState.USABLE}),
        (Kind.ADD_MESSAGING_NUMBERS, {NumberState.ACQUIRED, NumberState.USABLE}),
        (Kind.REMOVE_NUMBERS, {NumberState.RELEASED}),
    ],
)
def test_what_counts_as_done_depends_on_the_kind_of_order(kind: Kind, done: set[NumberState]) -> None:
    """A purchase has done a number that we hold; a removal has done a number that was given back."""
    order = an_order()
    order = replace(order, request=replace(order.request, kind=kind))

    assert {state for state in NumberState if count_done(order, [NumberResult(RALEIGH, state)])} == done
