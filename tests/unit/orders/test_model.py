import pytest

from number_orders.orders.model import FINAL_STATES, CarrierName, Criteria, Kind, Notify, OrderRequest, State
from tests.unit.orders.lifecycle_examples import DURHAM, RALEIGH


def test_the_final_states_are_the_five_that_the_producers_are_promised() -> None:
    """One more or less would be another promise."""
    assert {state.value for state in State if state.is_final} == {
        "COMPLETED",
        "PARTIAL",
        "COMPLETED_WITH_ERRORS",
        "FAILED",
        "CANCELLED",
    }


def test_a_producer_hears_of_every_end_unless_it_says_otherwise() -> None:
    """Nobody has to list the states."""
    assert Notify(task="crm.told").on == FINAL_STATES


def test_criteria_know_which_of_them_are_given() -> None:
    """Set to false is given; left out is not."""
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
def test_how_many_are_wanted_is_counted_or_said(request_: OrderRequest, wanted: int) -> None:
    """Named numbers are counted; for the others the producer says how many."""
    assert request_.wanted == wanted
