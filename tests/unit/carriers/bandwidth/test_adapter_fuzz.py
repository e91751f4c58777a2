"""Whatever Bandwidth, a gateway or an attacker answers, a conversation ends in a legal event or a known error."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from number_orders.carriers.contract import CarrierAnswer, Conversation
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
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
from tests.unit.carriers.bandwidth.examples import (
    BANDWIDTH,
    HTML,
    OTHER,
    REFERENCE,
    THEIRS,
    A,
    B,
    bare,
    error,
    listed,
    named,
    next_link,
    number_of,
    own_list,
    searched,
    shown,
    wrapped,
)
from tests.unit.carriers.tampered_answers import event_or_none, mutated

Begin = Callable[[Order], Conversation]

LEGAL: Final[dict[str, tuple[Begin, tuple[type[Event], ...]]]] = {
    "submit": (BANDWIDTH.submit, (Acknowledged, Refused, NotSent, AnswerLost)),
    "ask": (BANDWIDTH.ask, (StillOpen, Filled, PartlyFilled, FilledWithErrors, Refused, Acknowledged, Parked)),
    "look_for": (BANDWIDTH.look_for, (Acknowledged, NotListed, FoundTwice)),
}
ENDS: Final = (Filled, PartlyFilled, FilledWithErrors, Refused)
MONEY: Final = (Filled, PartlyFilled)

GONE = error("5005", "gone", B)
BODIES: Final = [
    body.encode()
    for body in (
        shown("COMPLETE", completed=wrapped(A, B), quantities=(2, 0)),
        shown("COMPLETED", completed=bare(A), quantities=(0, 1)),
        shown("PARTIAL", completed=bare(A), failed=bare(B), errors=GONE, quantities=(1, 1)),
        shown("FAILED", failed=bare(B, A), errors=GONE, order_id=f"<id>{THEIRS}</id>"),
        shown("RECEIVED", order_id=f"<id>{THEIRS}</id>"),
        shown("BACKORDERED", completed=bare(A), errors=error("5520", "some")),
        f"<OrderResponse><ErrorList>{error('5022', 'no site')}</ErrorList></OrderResponse>",
        f"<OrderResponse><ErrorList>{error('5086', 'timed out')}</ErrorList></OrderResponse>",
        own_list(A, B),
        number_of(OTHER),
        listed((THEIRS, REFERENCE, "2026-01-02")),
        listed((OTHER, REFERENCE, "x"), (THEIRS, REFERENCE, "2014-01-10T17-34-15Z"), total=7, following=next_link("3")),
    )
]
BOMB: Final = (
    b'<!DOCTYPE z [<!ENTITY a "aaaaaaaaaaaaaaaa">'
    + b"".join(b'<!ENTITY a%d "&a;&a;&a;&a;">' % n for n in range(8))
    + b"]><OrderResponse><OrderStatus>&a7;</OrderStatus></OrderResponse>"
)

orders = st.builds(
    lambda make, losses, sends: make(losses=losses, sends=sends),
    st.sampled_from([lambda **more: named(A, B, **more), lambda **more: searched(2, **more)]),
    st.integers(0, 2),
    st.integers(1, 3),
)
statuses = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 400, 401, 403, 404, 409, 429, 500, 502, 504])
headers = st.fixed_dictionaries({}, optional={"location": st.text(max_size=60)})


garbage = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.sampled_from([HTML, BOMB, BOMB.decode().encode("utf-16"), b"<a>" * 3000, b"<OrderResponse>" + b"9" * 5000]),
)


def answers_of(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[CarrierAnswer]]:
    return st.lists(st.builds(CarrierAnswer, statuses, headers, bodies), min_size=1, max_size=4)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(LEGAL)), orders, st.data())
def test_mutations_end_in_a_legal_event(what: str, order: Order, data: st.DataObject) -> None:
    begin, legal = LEGAL[what]
    seen: list[bytes] = []

    def answers() -> Iterator[CarrierAnswer]:
        for _ in range(60):
            answer = data.draw(st.builds(CarrierAnswer, statuses, headers, mutated(BODIES)))
            seen.append(answer.body)
            yield answer

    event = event_or_none(begin(order), answers())

    assert event is None or isinstance(event, legal)
    if isinstance(event, MONEY):
        words = b"".join(seen)
        assert b"COMPLETE" in words or b"PARTIAL" in words or b"complete" in words.lower()
        assert all(number.e164[2:].encode() in words for number in event.numbers if number.state == "acquired")
    if isinstance(event, Filled):
        assert len([number for number in event.numbers if number.state == "acquired"]) == order.request.wanted


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(LEGAL)), orders, answers_of(garbage))
@example("ask", named(A), [CarrierAnswer(200, {}, BOMB)])
@example("submit", named(A), [CarrierAnswer(201, {}, BOMB)])
@example("submit", named(A), [CarrierAnswer(400, {}, BOMB)])
@example("look_for", named(A), [CarrierAnswer(200, {}, BOMB)])
def test_garbage_ends_no_order(what: str, order: Order, answers: list[CarrierAnswer]) -> None:
    begin, legal = LEGAL[what]

    event = event_or_none(begin(order), cycle(answers))

    assert event is None or isinstance(event, legal)
    assert not isinstance(event, ENDS)
    assert not isinstance(event, FoundTwice | NotListed)
