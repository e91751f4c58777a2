"""Moments in messages are rewritten for the clock of the machine that judges them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workers.message_format import take_moments

BROKER_NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def taken(headers: dict[str, Any], *, ahead: timedelta, body: object = None) -> dict[str, Any]:
    take_moments(headers, body, own_now=BROKER_NOW + ahead, broker_now=lambda: BROKER_NOW)
    return headers


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("task", ["orders.sweep", "orders.mind", "orders.forget", "orders.work"])
def test_a_wake_up_never_expires(task: str) -> None:
    """Beat and workers of 0.1.0 say when, by their own clocks."""
    expired = {"task": task, "expires": "2020-01-01T00:00:00+00:00", "eta": "2099-01-01T00:00:00+00:00"}
    assert taken(expired, ahead=5 * MINUTE) == {"task": task, "expires": None, "eta": None}


@pytest.mark.parametrize("ahead", [-5 * MINUTE, timedelta(0), 5 * MINUTE])
def test_what_a_producer_times_counts_by_the_brokers_clock(ahead: timedelta) -> None:
    """Celery compares with this machine's clock, so the moments move with it."""
    sent = {"task": "orders.submit", "eta": (BROKER_NOW + MINUTE).isoformat(), "expires": "2026-11-29T12:02:00"}
    got = taken(sent, ahead=ahead)
    own_now = BROKER_NOW + ahead
    assert moment(got["eta"]) - own_now == MINUTE
    assert moment(got["expires"]) - own_now == 2 * MINUTE


def test_our_own_retry_waits_for_a_second() -> None:
    """The worker that asked for it may have been ten minutes ahead of the one that takes it."""
    got = taken({"task": "orders.submit", "retries": 1, "eta": "2026-11-29T12:10:01+00:00"}, ahead=-5 * MINUTE)
    assert moment(got["eta"]) == BROKER_NOW - 5 * MINUTE + timedelta(seconds=1)


def test_in_protocol_1_the_body_has_the_moments() -> None:
    body = {"task": "orders.submit", "expires": "2026-11-29T12:01:00+00:00"}
    taken({}, ahead=5 * MINUTE, body=body)
    assert moment(body["expires"]) == BROKER_NOW + 6 * MINUTE


@pytest.mark.parametrize("expires", ["soon", "2026-13-45"])
def test_what_is_no_moment_is_left_for_celery_to_refuse(expires: str) -> None:
    assert taken({"task": "orders.submit", "expires": expires}, ahead=MINUTE)["expires"] == expires


def test_a_message_without_moments_asks_nobody_for_the_time() -> None:
    def nobody() -> datetime:
        raise AssertionError("the broker was asked")

    headers = {"task": "orders.submit", "eta": None, "expires": None}
    take_moments(headers, None, own_now=BROKER_NOW, broker_now=nobody)
    take_moments(None, None, own_now=BROKER_NOW, broker_now=nobody)
    assert headers == {"task": "orders.submit", "eta": None, "expires": None}
