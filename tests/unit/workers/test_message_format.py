"""The checks on task messages: which task may carry a time limit, and what is left to Celery."""

import json
from typing import Any

import pytest

from config.queues import OPERATORS
from tests.integration.workers.messages import a_message
from workers.message_format import find_fault, read_message

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


def test_message_is_addressed_to_the_queue_that_it_was_in() -> None:
    """In the first protocol of Celery the headers do not tell that it is a task."""
    address = {"exchange": "", "routing_key": OPERATORS}
    properties = {"delivery_tag": "t", "body_encoding": "base64", "delivery_info": address}
    for headers in ({"task": "orders.park", "id": "1"}, {}, None):
        item = a_message(headers, json.dumps({"task": "orders.park", "id": "1"}), properties=properties).encode()
        written, read = read_message(item, "orders")
        assert read["properties"]["delivery_info"] == {"exchange": "", "routing_key": "orders"}
        assert json.loads(written) == read
        assert read_message(item, OPERATORS)[0] is item


RESOLVE = {"task": "orders.resolve", "args": [], "kwargs": {}, "options": {"queue": OPERATORS}}
OF_PRIORITY_3 = RESOLVE | {"options": {"queue": f"{OPERATORS}\x06\x163"}}
GROUP = {"task": "celery.group", "args": [], "kwargs": {"tasks": [RESOLVE]}, "options": {}}
OWN = {"task": "crm.save", "args": [], "kwargs": {}, "options": {"queue": "crm"}}


@pytest.mark.parametrize(
    "follow_ups",
    [{"callbacks": [RESOLVE]}, {"errbacks": [OF_PRIORITY_3]}, {"chain": [OWN, GROUP]}, {"chord": RESOLVE}],
    ids=lambda follow_ups: next(iter(follow_ups)),
)
def test_no_message_has_the_worker_send_to_the_operators_queue(follow_ups: dict[str, Any]) -> None:
    """The broker would take it from the worker, and not from the sender of the message."""
    headers = {"task": "orders.submit", "id": "x"}
    assert OPERATORS in (find_fault(headers, [[], {}, follow_ups]) or "")
    assert OPERATORS in (find_fault({}, headers | follow_ups) or "")


def test_producers_own_tasks_may_follow() -> None:
    headers = {"task": "orders.submit", "id": "x"}
    for follow_ups in (
        {"callbacks": [OWN], "errbacks": None},
        {"chord": OWN},
        {"chain": [OWN, GROUP | {"kwargs": {}}]},
    ):
        assert find_fault(headers, [[{"notes": OPERATORS}], {}, follow_ups]) is None
    assert find_fault({}, headers | {"args": [{"notes": OPERATORS}], "callbacks": [OWN]}) is None


def test_follow_ups_that_nobody_can_read_are_a_fault() -> None:
    """An error would end the worker, and the next one that takes the message."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "RecursionError" in (find_fault({"task": "orders.get", "id": "x"}, [[], {}, {"chain": [{"x": deep}]}]) or "")
    assert "RecursionError" in (find_fault({}, {"task": "orders.get", "id": "x", "more": deep}) or "")


def test_celerys_own_tasks_send_nothing_in_our_name() -> None:
    for task in ("celery.group", "celery.chord", "celery.chord_unlock", "celery.starmap"):
        assert task in (find_fault({"task": task, "id": "x"}, NO_ARGUMENTS) or "")
        assert task in (find_fault({}, {"task": task, "id": "x"}) or "")
