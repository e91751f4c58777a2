"""Whatever Swift, a gateway or an attacker answers, a conversation ends in a legal event or a known error."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from number_orders.carriers.contract import (
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    FindInList,
    KnownNumbers,
    ListedNumbers,
    LookUpNumbers,
    Purpose,
    Reply,
    SaveProgress,
)
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    NotListed,
    NotSent,
    Parked,
    PartlyFilled,
    PartSettled,
    ProvenAbsent,
    Refused,
    StillOpen,
)
from number_orders.orders.model import Kind, Order, WhenTainted
from tests.unit.carriers.swift.examples import (
    CARRIER,
    CART,
    CHECKED_OUT,
    HTML,
    NOW,
    ONE,
    REFERENCE,
    THREE,
    TWO,
    added,
    cart,
    did,
    entry,
    failed,
    found,
    listed,
    naming,
    new_numbers,
    open_order,
    order_data,
    refusal,
    removal,
    shown,
)
from tests.unit.carriers.tampered_answers import mutated

Begin = Callable[[Order], Conversation]

E164_IN_THE_LEDGER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
ENDS: Final = (Filled, PartlyFilled, FilledWithErrors, Refused)
LEGAL: Final[dict[str, tuple[Begin, tuple[type[Event], ...]]]] = {
    "submit": (CARRIER.submit, (Acknowledged, Refused, NotSent, Deferred, AnswerLost)),
    "ask": (CARRIER.ask, (StillOpen, PartSettled, Parked, *ENDS)),
    "look_for": (CARRIER.look_for, (Acknowledged, NotListed, ProvenAbsent, FoundTwice)),
}

BODIES: Final = [
    answer.body
    for answer in (
        cart(),
        added(),
        shown(),
        shown("COMPLETED"),
        failed("COMPLETED_WITH_ERRORS", "numbers are tainted: 19195550101"),
        failed("ERROR", "no"),
        shown("STRANGE", entry("STRANGE", "what", "WHY")),
        refusal("numbers are tainted: 19195550101"),
        refusal("already"),
        listed(did(ONE), did(TWO, "PENDING"), after="MQ=="),
        listed(did(ONE, "UNAVAILABLE"), did(THREE, after=timedelta(days=-9))),
        listed(order_data(reference_id=REFERENCE), order_data(id="01B", name=REFERENCE), kind="order"),
        listed(),
    )
]

PROGRESS: Final[list[dict[str, Any]]] = [
    {},
    {"cart_id": CART, "since": CHECKED_OUT["since"]},
    CHECKED_OUT,
    {**CHECKED_OUT, "looks": 11},
    {**CHECKED_OUT, "part": [ONE], "settled": {"numbers": [[TWO, "released", None, None]], "orders": ["01A"]}},
]
REQUESTS: Final = [
    new_numbers(),
    naming(Kind.ADD_MESSAGING_NUMBERS, ONE, TWO, options={"mms_enabled": True}),
    *(removal(ONE, TWO, when_tainted=when) for when in WhenTainted),
]

requests = st.sampled_from(REQUESTS)
progress = st.builds(
    lambda kept, long_list: {**kept, **({"long_list": True} if long_list else {})},
    st.sampled_from(PROGRESS),
    st.booleans(),
)
statuses = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 404, 409, 422, 422, 429, 500, 502])
moments = st.sampled_from([timedelta(), timedelta(minutes=30), timedelta(hours=2)]).map(lambda age: NOW - age)
recollections = st.builds(
    KnownNumbers,
    st.just(NOW),
    held_since=st.dictionaries(st.sampled_from([ONE, TWO]), moments, max_size=2),
    of_other_orders=st.frozensets(st.sampled_from([ONE, TWO, THREE]), max_size=1),
    awaited=st.frozensets(st.sampled_from([ONE, TWO]), max_size=1),
)

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(CART),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
dates = st.sampled_from(["2025-12-01T05:06:21Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]) | values
fields = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([CART, "01B", None, "../x"]) | values,
        "status": st.sampled_from(["NEW", "COMPLETED", "COMPLETED_WITH_ERRORS", "ERROR", "odd", 3]) | values,
        "error_code": st.sampled_from(["OK", "ok", "REJECTED", None]) | values,
        "status_history": st.lists(st.just(entry("ERROR", "tainted 19195550101", "REJECTED")), max_size=2) | values,
        "reference_id": st.sampled_from([REFERENCE, None]) | values,
        "inserted_at": dates,
        "number": st.sampled_from(["19195550101", "+19195550102", "9191550100", "7", None]) | values,
        "sms_status": st.sampled_from(["AVAILABLE", "PENDING", "UNAVAILABLE"]) | values,
        "items": st.lists(values, max_size=2),
        "page_info": st.just({"after": None}) | values,
    },
)
objects = st.builds(
    lambda kind, data: {"type": kind, "data": data, "associations": {}},
    st.sampled_from(["cart", "order", "list", "did", "cart_request"]),
    fields | values,
)
lists = st.lists(objects, max_size=3).map(lambda items: {"type": "list", "data": {"items": items, "page_info": {}}})
documents = (objects | lists | values).map(lambda body: json.dumps(body).encode())


garbage = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.sampled_from([HTML, b"[" * 50_000, b"9" * 5000, b'{"data":' * 3000, b"NaN", b"\xff\xfe[\x00]\x00"]),
)


readings = st.lists(st.sampled_from((ONE, TWO, THREE)), unique=True).map(lambda numbers: found(*numbers))


def event_or_none(
    conversation: Conversation, answers: Iterator[CarrierAnswer], known: KnownNumbers, reading: ListedNumbers
) -> Event | None:
    """Return the event that a conversation ends in; None if it raises an error that says that nothing is known."""
    ready = False
    answer: Reply = None
    try:
        while True:
            step = conversation.send(answer)
            if isinstance(step, SaveProgress):
                ready = json.loads(json.dumps(step.progress)).get("requested") is True
                answer = None
            elif isinstance(step, LookUpNumbers):
                answer = known
            elif isinstance(step, FindInList):
                answer = reading
            else:
                assert isinstance(step, CarrierRequest)
                assert step.purpose is not Purpose.COMMIT or ready, "checked out, and not kept before"
                answer = next(answers)
    except StopIteration as end:
        event: Event = end.value
        return event
    except (NoAnswer, UnreadableAnswer):
        return None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(LEGAL)), requests, progress, recollections, readings, st.data())
def test_every_answer_ends_in_a_legal_event(
    what: str,
    request: Any,
    kept: dict[str, Any],
    known: KnownNumbers,
    reading: ListedNumbers,
    data: st.DataObject,
) -> None:
    begin, legal = LEGAL[what]
    order = open_order(request, progress=kept if what != "ask" else {**CHECKED_OUT, **kept})

    def answers() -> Iterator[CarrierAnswer]:
        while True:
            yield data.draw(st.builds(CarrierAnswer, statuses, st.just({}), mutated(BODIES) | documents))

    if what == "submit" and kept.get("requested"):
        return  # it is ready from the start, which other tests look at
    event = event_or_none(begin(order), answers(), known, reading)

    assert event is None or isinstance(event, legal)
    numbers = getattr(event, "numbers", ())
    assert all(E164_IN_THE_LEDGER.fullmatch(number.e164) for number in numbers)
    assert len({number.e164 for number in numbers}) == len(numbers)
    if isinstance(event, Filled):
        assert len(numbers) == order.request.wanted
    if isinstance(event, Deferred | PartSettled):
        assert event.reason
        assert json.dumps(dict(getattr(event, "settled", {})))
    if isinstance(event, Refused):
        assert event.reason
        assert {number.state for number in numbers} <= {"failed"}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(LEGAL)),
    requests,
    st.lists(st.builds(CarrierAnswer, statuses, st.just({}), garbage), min_size=1, max_size=4),
)
def test_garbage_ends_no_order(what: str, request: Any, answers: list[CarrierAnswer]) -> None:
    begin, legal = LEGAL[what]
    order = open_order(request, progress={} if what == "submit" else CHECKED_OUT)
    known = KnownNumbers(NOW, held_since=dict.fromkeys((ONE, TWO), NOW - timedelta(hours=1)))

    event = event_or_none(begin(order), cycle(answers), known, found())

    assert event is None or isinstance(event, legal)
    assert not isinstance(event, (Filled, PartlyFilled, FilledWithErrors, FoundTwice, Parked))
