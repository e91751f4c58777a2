"""A cursor is read back as it was written, and nothing else is read."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.ledger.order_views import PageCursor
from number_orders.receiver.cursor import read_cursor, write_cursor

moments = st.datetimes(timezones=st.just(UTC))


@given(moments, st.uuids())
def test_cursor_is_read_back(at: datetime, order_id: UUID) -> None:
    cursor = PageCursor(at, order_id)
    word = write_cursor(cursor)
    assert read_cursor(word) == cursor
    assert word.replace("-", "").replace("_", "").isalnum()


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_nothing_else_is_read(word: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        read_cursor(word)


def test_word_of_another_format_is_none() -> None:
    word = write_cursor(PageCursor(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7)))
    for other in ("B" + word[1:], word[:-1] + "+", word + "=", word[:-1], word + "A", "f" * 34):
        with pytest.raises(ValueError, match="no cursor"):
            read_cursor(other)
