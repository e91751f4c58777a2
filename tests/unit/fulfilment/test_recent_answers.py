"""Answers are kept for a while, and not too many of them."""

from number_orders.fulfilment.recent_answers import RecentAnswers


def test_answers_hold_for_a_while_and_the_oldest_goes_first() -> None:
    now = [0.0]
    answers: RecentAnswers[str, int | None] = RecentAnswers(lasts_s=5, clock=lambda: now[0], count_max=2)
    answers.keep("a", 1)
    answers.keep("b", None, lasts_s=2)
    known = answers.get("b")
    assert known is not None
    assert (known.value, known.asked_at) == (None, 0.0)
    now[0] = 2.0
    assert answers.get("b") is None
    assert answers.get("a") is not None
    answers.keep("a", 2, lasts_s=60)
    answers.keep("c", 3)
    assert answers.get("b") is None
    now[0] = 7.0
    assert answers.get("a") is None
