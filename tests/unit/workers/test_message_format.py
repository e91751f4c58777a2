"""The checks on task messages: which task may carry a time limit, and what is left to Celery."""

from workers.message_format import fault_in

SWEEP = {"task": "orders.sweep", "id": "x", "timelimit": [180, None]}
NO_ARGUMENTS: list[object] = [[], {}, {}]


def test_only_scheduled_tasks_and_bells_may_carry_a_time_limit() -> None:
    """Beat sends those with the limit of our settings; a message that carries an order gets the limit we set."""
    assert fault_in(SWEEP, NO_ARGUMENTS) is None
    assert "time limit" in (fault_in(SWEEP | {"task": "orders.submit"}, NO_ARGUMENTS) or "")


def test_no_task_message_is_left_to_celery() -> None:
    """Celery reports it as an unknown message, and the consumer stores it then."""
    assert fault_in({}, "hello") is None
    assert fault_in(None, NO_ARGUMENTS) is None
