"""What the fuzzers of all adapters share: bodies that were tampered with, and a conversation with a mad carrier."""

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from number_orders.carriers.contract import CarrierAnswer, Conversation, Keep
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Event


@st.composite
def mutated(draw: st.DrawFn, bodies: Sequence[bytes]) -> bytes:
    """Return one of the bodies with pieces taken out, doubled, swapped or overwritten."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 80)))
        patch = draw(
            st.sampled_from([b"", body[start:end] * 2, draw(st.sampled_from(bodies)), draw(st.binary(max_size=6))])
        )
        body = body[:start] + patch + body[end:]
    return body


def turns(conversation: Conversation, answers: Iterator[CarrierAnswer]) -> Event | None:
    """Hold a conversation; None when it ended in an error that says that nothing is known."""
    try:
        turn = next(conversation)
        while True:
            turn = conversation.send(None if isinstance(turn, Keep) else next(answers))
    except StopIteration as end:
        event: Event = end.value
        return event
    except (NoAnswer, UnreadableAnswer):
        return None
