"""Tampered answers for the fuzz tests of all adapters, and a conversation that is given them."""

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from number_orders.carriers.contract import CarrierAnswer, Conversation, SaveProgress
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Event


@st.composite
def mutated(draw: st.DrawFn, bodies: Sequence[bytes]) -> bytes:
    """Draw one of the bodies with pieces removed, doubled, swapped or overwritten."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 80)))
        patch = draw(
            st.sampled_from([b"", body[start:end] * 2, draw(st.sampled_from(bodies)), draw(st.binary(max_size=6))])
        )
        body = body[:start] + patch + body[end:]
    return body


def event_or_none(conversation: Conversation, answers: Iterator[CarrierAnswer]) -> Event | None:
    """Return the event that a conversation ends in; None if it raises an error that says that nothing is known."""
    try:
        step = next(conversation)
        while True:
            step = conversation.send(None if isinstance(step, SaveProgress) else next(answers))
    except StopIteration as end:
        event: Event = end.value
        return event
    except (NoAnswer, UnreadableAnswer):
        return None
