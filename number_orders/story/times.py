"""Formats times and durations: `2h`, `in 3 min`, `12:04:05 UTC`.

Reads no clock: the caller passes the current time.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([dhms])")
_SHAPE: Final = re.compile(rf"(?:{_PART.pattern})+")
_WORDS: Final = (("day", 86_400), ("h", 3600), ("min", 60))
_EXACT_BELOW: Final = timedelta(seconds=10)
_LONGEST_S: Final = 100 * 365 * 86_400


def duration(text: str) -> timedelta:
    """Parse a duration such as `45s`, `90m`, `2h`, `1h30m` or `3d`; a bare number is seconds.

    Raises:
        ValueError: It is no duration.
    """
    given = f"{text}s" if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else text.lower()
    if not _SHAPE.fullmatch(given):
        raise ValueError(f"{text!r} is no duration: write 45s, 90m, 2h, 1h30m or 3d")
    total_s = sum(timedelta(**{_UNITS[unit]: 1}).total_seconds() * float(count) for count, unit in _PART.findall(given))
    if total_s > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than a hundred years")
    return timedelta(seconds=total_s)


def span(length: timedelta) -> str:
    """Return a duration in its two greatest units: `0.4 s`, `12 s`, `3 min 5 s`, `2 days 4 h`."""
    if length < _EXACT_BELOW:
        return f"{max(length.total_seconds(), 0):.1f} s"
    return " ".join(list(_parts(round(length.total_seconds())))[:2])


def when(moment: datetime, now: datetime) -> str:
    """Return how far a time is from now: `in 3 min`, `3 min ago`."""
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def at(moment: datetime, now: datetime) -> str:
    """Return a time in UTC, with the date unless it is today."""
    moment = moment.astimezone(UTC)
    today = moment.date() == now.astimezone(UTC).date()
    return f"{moment:%H:%M:%S} UTC" if today else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def both(moment: datetime, now: datetime) -> str:
    """Return a time in both forms: `12:04:05 UTC, in 25 s`."""
    return f"{at(moment, now)}, {when(moment, now)}"


def _parts(seconds: int) -> Iterator[str]:
    for word, size in _WORDS:
        count, seconds = divmod(seconds, size)
        if count:
            yield f"{count} {word}{'s' if word == 'day' and count > 1 else ''}"
    if seconds:
        yield f"{seconds} s"
