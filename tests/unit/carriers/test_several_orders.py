"""An order that a carrier has several times: one end, in which nothing that was bought is lost."""

from hypothesis import given
from hypothesis import strategies as st

from number_orders.carriers.several_orders import EndEvent, end_of_several
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, Refused
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState
from number_orders.orders.numbers import E164

NUMBERS = st.builds("+1919555010{}".format, st.integers(0, 9)).map(E164)
RESULTS = st.lists(
    st.builds(
        NumberResult, NUMBERS, st.sampled_from([NumberState.ACQUIRED, NumberState.FAILED, NumberState.REQUESTED])
    ),
    unique_by=lambda result: result.e164,
    max_size=4,
).map(tuple)
ENDS = st.one_of(
    st.builds(Filled, st.just("COMPLETE"), RESULTS),
    st.builds(PartlyFilled, st.just("PARTIAL"), RESULTS, st.just("some")),
    st.builds(Refused, st.just("none"), st.none(), st.just("FAILED"), RESULTS),
)


def acquired(end: EndEvent) -> set[E164]:
    return {result.e164 for result in end.numbers if result.state is NumberState.ACQUIRED}


@given(st.dictionaries(st.uuids().map(str).map(CarrierOrderId), ENDS, min_size=1, max_size=4))
def test_what_several_orders_bought_is_in_one_end(ends: dict[CarrierOrderId, EndEvent]) -> None:
    end = end_of_several(ends)

    bought = tuple(named for named, each in ends.items() if acquired(each))
    if len(bought) < 2:
        assert end is next(iter(ends.values()))
        return
    assert isinstance(end, FilledWithErrors)
    assert end.carrier_order_ids == bought
    assert all(named in end.reason for named in bought)
    assert acquired(end) == set().union(*map(acquired, ends.values()))
    numbers = [result.e164 for result in end.numbers]
    assert len(numbers) == len(set(numbers))
