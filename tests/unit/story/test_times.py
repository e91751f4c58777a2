"""Durations are parsed as people write them, and times are printed as people say them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from number_orders.story import times

NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("90m", 5400),
        ("2h", 7200),
        ("1h30m", 5400),
        ("3d", 259_200),
        ("90", 90),
        ("1.5h", 5400),
        ("2H", 7200),
    ],
)
def test_durations_are_parsed(text: str, seconds: float) -> None:
    assert times.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "2 h", "-5m", "2x", "1h30", "1e9d", "nan", "99999999d", "٣s"])
def test_text_that_is_no_duration_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration|hundred years"):
        times.duration(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(milliseconds=340), "0.3 s"),
        (timedelta(seconds=-2), "0.0 s"),
        (timedelta(seconds=12.4), "12 s"),
        (timedelta(seconds=59.7), "1 min"),
        (timedelta(seconds=185), "3 min 5 s"),
        (timedelta(hours=2, minutes=5, seconds=7), "2 h 5 min"),
        (timedelta(days=1, seconds=9), "1 day 9 s"),
        (timedelta(days=40, hours=3), "40 days 3 h"),
    ],
)
def test_a_span_has_its_two_greatest_units(length: timedelta, text: str) -> None:
    assert times.span(length) == text


def test_a_time_is_relative_to_now() -> None:
    assert times.when(NOON + timedelta(minutes=3), NOON) == "in 3 min"
    assert times.when(NOON - timedelta(minutes=3), NOON) == "3 min ago"
    assert times.when(NOON, NOON) == "0.0 s ago"


def test_a_time_has_its_date_unless_it_is_today() -> None:
    assert times.at(NOON, NOON) == "12:00:00 UTC"
    assert times.at(NOON, NOON + timedelta(days=1)) == "2026-08-01 12:00:00 UTC"


def test_times_are_in_utc_whatever_their_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=14)))  # tomorrow there

    assert times.both(elsewhere, NOON) == "12:00:00 UTC, 0.0 s ago"
