"""The address of a list says what it shows; what cannot be understood is said, and left out."""

from datetime import UTC, datetime

import pytest
from starlette.datastructures import QueryParams

from number_orders.orders.model import State
from number_orders.receiver.board.lists import find_number, read_query


def test_every_filter_is_read() -> None:
    query = read_query(
        QueryParams(
            "state=PARKED&carrier=cm&kind=new_numbers&producer=crm&key=k&number=9195550100&from=2026-08-01T10:00"
        )
    )
    wanted = query.wanted
    assert query.faults == []
    assert wanted.states == (State.PARKED,)
    assert (wanted.carrier, wanted.kind, wanted.producer, wanted.key) == ("cm", "new_numbers", "crm", "k")
    assert wanted.number == "+19195550100"
    assert wanted.accepted_after == datetime(2026, 8, 1, 10, tzinfo=UTC)


def test_groups_stand_for_their_states() -> None:
    states = read_query(QueryParams("state=unfinished")).wanted.states
    assert states is not None
    assert State.PARKED in states
    assert not any(state.is_final for state in states)


@pytest.mark.parametrize("text", ["state=GONE", "kind=x", "number=12", "from=yesterday", "cursor=x"])
def test_wrong_filters_are_named(text: str) -> None:
    query = read_query(QueryParams(text))
    assert [fault.partition(":")[0] for fault in query.faults] == [text.partition("=")[0]]


@pytest.mark.parametrize("text", ["+1 919 555 0100", "(919) 555-0100", "19195550100", "919.555.0100"])
def test_numbers_are_found_as_people_write_them(text: str) -> None:
    assert find_number(text) == "+19195550100"
