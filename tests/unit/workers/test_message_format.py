"""The checks on task messages: which task may carry a time limit, and what is left to Celery."""

from workers.message_format import find_fault

SWEEP = {"task": "orders.sweep", "id": "x", "timelimit": [180, None]}
NO_ARGUMENTS: list[object] = [[], {}, {}]


def test_only_scheduled_tasks_and_bells_may_carry_a_time_limit() -> None:
    """Beat sends those with the limit of our settings; a message that carries an order gets the limit we set."""
    assert find_fault(SWEEP, NO_ARGUMENTS) is None
    assert "time limit" in (find_fault(SWEEP | {"task": "orders.submit"}, NO_ARGUMENTS) or "")


def test_no_task_message_is_left_to_celery() -> None:
    """Celery reports it as an unknown message, and the consumer stores it then."""
    assert find_fault({}, "hello") is None
    assert find_fault(None, NO_ARGUMENTS) is None
