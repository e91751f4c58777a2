from datetime import timedelta

import pytest

from number_orders.orders.policy import CarrierPolicy

SECOND = timedelta(seconds=1)
POLICY = CarrierPolicy()


@pytest.mark.parametrize(("asked", "pause"), [(0, 2), (1, 3.2), (2, 5.12), (12, 300), (10**9, 300)])
def test_an_open_order_is_asked_about_at_growing_pauses(asked: int, pause: float) -> None:
    """1.6 times longer each time, up to five minutes, and no number of questions overflows."""
    assert POLICY.ask_pause(asked, slow=False) == pause * SECOND


def test_a_slow_order_has_a_longer_longest_pause() -> None:
    """Its first pauses are the same: review may be over in a minute."""
    assert POLICY.ask_pause(1, slow=True) == POLICY.ask_pause(1, slow=False)
    assert POLICY.ask_pause(100, slow=True) == POLICY.slow_ask_max


def test_questions_have_taken_their_pauses() -> None:
    pauses = [POLICY.ask_pause(asked, slow=True) for asked in range(50)]
    assert POLICY.asked_for(0, slow=True) == 0 * SECOND
    assert POLICY.asked_for(50, slow=True) == sum(pauses, 0 * SECOND)


@pytest.mark.parametrize(("asked", "pause"), [(0, 5), (1, 10), (5, 160), (6, 300), (60, 300)])
def test_an_order_in_doubt_is_asked_about_at_doubling_pauses(asked: int, pause: int) -> None:
    """Up to the longest pause of open orders."""
    assert POLICY.doubt_pause(asked) == pause * SECOND


def test_the_pause_in_doubt_stops_doubling_where_no_maximum_holds_it() -> None:
    """Six doublings, whatever the maximum."""
    policy = CarrierPolicy(ask_max=timedelta(days=1))

    assert policy.doubt_pause(7) == policy.doubt_pause(6) == 320 * SECOND


@pytest.mark.parametrize(("sends", "pause"), [(1, 2), (2, 4), (8, 256), (9, 300), (1000, 300)])
def test_an_order_that_did_not_reach_the_carrier_is_sent_again_at_doubling_pauses(sends: int, pause: int) -> None:
    """The first attempt is followed by the shortest pause."""
    assert POLICY.resend_pause(sends) == pause * SECOND
