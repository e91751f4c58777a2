"""Whatever CM.com, a gateway or an attacker answers, a conversation ends in a legal event or a known error."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from number_orders.carriers.contract import CarrierAnswer, Conversation
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CalledBack,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    NotListed,
    NotSent,
    Parked,
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import Order
from number_orders.orders.numbers import parse_e164
from tests.unit.carriers.cm.examples import (
    CARRIER,
    COMMENT,
    HTML,
    OTHER,
    THEIRS,
    a_range,
    a_request,
    an_order,
    in_america,
    restricted,
    shown,
)
from tests.unit.carriers.tampered_answers import event_or_none, mutated

Begin = Callable[[Order], Conversation]

LEGAL: Final[dict[str, tuple[Begin, tuple[type[Event], ...]]]] = {
    "submit": (CARRIER.submit, (Acknowledged, Refused, NotSent, AnswerLost)),
    "ask": (CARRIER.ask, (StillOpen, Filled, PartlyFilled, FilledWithErrors, Refused, CalledBack, Parked)),
    "look_for": (CARRIER.look_for, (Acknowledged, NotListed, FoundTwice)),
}
ENDS: Final = (Filled, PartlyFilled, FilledWithErrors, Refused, CalledBack)

BODIES: Final = [
    json.dumps(body).encode()
    for body in (
        shown("created", a_range(None, 2)),
        shown("completed", a_range("+31201234560", 2)),
        shown("completed", a_range("31201234560"), a_range("+31201234569")),
        shown("rejected", statusReason="no"),
        shown("cancelled", a_range("+31201234560")),
        {"message": "no", "messageCode": "X", "messageDetail": "at all"},
        {"title": "errors", "errors": {"quantity": ["no"]}},
        [shown(), shown(guid=OTHER, comment="another")],
        [],
        restricted(2, 10),
    )
]

orders = st.builds(
    lambda request, sends, before, called: an_order(
        request, sends=sends, carrier_status=before, cancel_asked_at=called
    ),
    st.sampled_from([a_request(2), a_request(3), a_request(2, range_size=2), in_america(2)]),
    st.integers(1, 3),
    st.sampled_from([None, "created", "completed"]),
    st.sampled_from([None, datetime(2026, 1, 2, tzinfo=UTC)]),
)
statuses = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 400, 401, 403, 404, 409, 422, 429, 500, 502])
headers = st.fixed_dictionaries({}, optional={"x-cm-pagination-total": st.text(max_size=6) | st.just("2")})

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(str(THEIRS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
starts = st.sampled_from(["+31201234560", "+19195550100", "9195550100", None]) | st.text("+0123456789 ", max_size=18)
ranges = st.lists(st.builds(a_range, starts | values, st.integers(-2, 20_000) | values), max_size=4) | values
fields = st.fixed_dictionaries(
    {},
    optional={
        "guid": st.sampled_from([THEIRS, OTHER, None]) | values,
        "status": st.sampled_from(["completed", "created", "rejected", "cancelled", "odd", 3]) | values,
        "statusReason": values,
        "createdOn": st.sampled_from(["2026-01-02", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]) | values,
        "comment": st.sampled_from([COMMENT, None, "x"]) | values,
        "ranges": ranges,
        "allowedRangeSizes": st.lists(st.integers(0, 3), max_size=3) | values,
        "maximumQuantity": values,
        "message": values,
        "errors": values,
    },
)
shapes = fields.map(lambda changed: {**shown("completed"), **changed}) | fields
documents = (shapes | st.lists(shapes, max_size=4) | values).map(lambda body: json.dumps(body).encode())


garbage = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.sampled_from([HTML, b"[" * 50_000, b"9" * 5000, b'{"guid":' * 3000, b"NaN", b"\xff\xfe[\x00]\x00"]),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(LEGAL)), orders, st.data())
def test_every_answer_ends_in_a_legal_event(what: str, order: Order, data: st.DataObject) -> None:
    begin, legal = LEGAL[what]

    def answers() -> Iterator[CarrierAnswer]:
        while True:
            yield data.draw(st.builds(CarrierAnswer, statuses, headers, mutated(BODIES) | documents))

    event = event_or_none(begin(order), answers())

    assert event is None or isinstance(event, legal)
    numbers = getattr(event, "numbers", ())
    assert all(parse_e164(number.e164) == number.e164 for number in numbers)
    assert len({number.e164 for number in numbers}) == len(numbers)
    if isinstance(event, Filled):
        assert len(numbers) == order.request.wanted
    if isinstance(event, PartlyFilled):
        assert 0 < len(numbers) < order.request.wanted
    if isinstance(event, CalledBack):
        assert order.cancel_asked_at
    if isinstance(event, Refused | CalledBack):
        assert event.reason
        assert not numbers


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(LEGAL)),
    orders,
    st.lists(st.builds(CarrierAnswer, statuses, headers, garbage), min_size=1, max_size=4),
)
def test_garbage_ends_no_order(what: str, order: Order, answers: list[CarrierAnswer]) -> None:
    begin, legal = LEGAL[what]

    event = event_or_none(begin(order), cycle(answers))

    assert event is None or isinstance(event, legal)
    assert not isinstance(event, (*ENDS, FoundTwice))
