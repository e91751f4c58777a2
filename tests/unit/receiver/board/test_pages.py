"""What others have written is shown as text."""

from datetime import UTC, datetime, timedelta

from number_orders.receiver.board.pages import body, code, count, moment

NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


def test_foreign_text_is_no_markup() -> None:
    assert code("see `a<b>` & <script>") == "see <code>a&lt;b&gt;</code> &amp; &lt;script&gt;"
    assert body("<a>\n  <b/>\u202e\x00") == "&lt;a&gt;\n  &lt;b/&gt;"


def test_count_that_has_reached_its_limit_says_so() -> None:
    assert count(12345) == "12,345"
    assert count(10, 10) == "10+"
    assert count(9, 10) == "9"


def test_moments_are_for_people_and_scripts() -> None:
    shown = moment(NOON + timedelta(minutes=3), NOON)
    assert 'datetime="2026-08-01T12:03:00+00:00"' in shown
    assert "12:03:00 UTC" in shown
    assert "in 3 min" in shown
