"""Swift's taint window at its full thirty minutes, on real processes: what waits says so, and leaves in time.

The half hour passes at the carrier by its clock and in the ledger by moving every moment into the past, while
nothing is under way. While removals wait, the worker is killed and the broker loses everything.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from number_orders.embedded.engines import Engines
from tests.acceptance.conftest import QUICK, Backend, Producer, empty_backend, producing
from tests.acceptance.conftest import environment as backend_environment
from tests.acceptance.demo_processes import NUMBER_ORDERS
from tests.acceptance.queries import rows, sold_for
from tests.acceptance.swift_orders import (
    a_purchase,
    a_removal,
    environment,
    put_on_the_account,
    states,
)
from tests.acceptance.time_travel import pass_time
from tests.processes import Processes, eventually

pytestmark = pytest.mark.acceptance

Document = dict[str, Any]
STRANGER = "+12025550301"


@dataclass
class Course:
    """What was seen of removals that were ordered while some of their numbers were tainted, before and after."""

    old: list[str]
    young: list[str]
    waiting: dict[str, Document] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    """What `explain` says meanwhile."""
    pages: dict[str, Document] = field(default_factory=dict)
    """What `show` says meanwhile."""
    after_25_minutes: dict[str, Document] = field(default_factory=dict)
    sold_after_25_minutes: int = 0
    ended: dict[str, Document] = field(default_factory=dict)
    removed: dict[str, list[list[str]]] = field(default_factory=dict)
    violations: list[Any] = field(default_factory=list)
    held: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def course(engines: Engines, ledger_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """Let it all happen once, and look at it from several sides."""
    with empty_backend(engines) as backend:
        backend.carrier.behave(swift_usable_s=0)
        env = backend_environment(backend.ledger_url, backend.broker_url, backend.carrier) | environment(**QUICK)
        with Processes(tmp_path_factory.mktemp("log"), env) as running, producing(backend.broker_url) as producer:
            yield half_an_hour(backend, running, producer)


def half_an_hour(backend: Backend, running: Processes, producer: Producer) -> Course:
    """Order removals of numbers young and old, kill and wipe what can be, and let the window pass."""
    running.beat()
    worker = running.worker()
    old = bought(producer, 3)
    pass_time(backend, minutes=31)
    seen = Course(old, bought(producer, 3))
    put_on_the_account(backend.carrier, STRANGER)
    removals = {
        "wait": a_removal(seen.old[0], seen.young[0]),
        "split": a_removal(seen.old[1], seen.young[1], when_tainted="split"),
        "fail": a_removal(seen.old[2], seen.young[2], when_tainted="fail"),
        "stranger": a_removal(STRANGER),
    }
    names = {how: producer.submit(order)["order_id"] for how, order in removals.items()}
    seen.ended["fail"] = producer.await_end(names.pop("fail"))
    seen.waiting = {how: await_waiting(producer, name, parts=how == "split") for how, name in names.items()}
    seen.shown = {how: command(running, "explain", name) for how, name in names.items()}
    seen.pages = {how: json.loads(command(running, "show", "--json", name)) for how, name in names.items()}

    worker.kill()
    with redis.Redis.from_url(backend.broker_url) as broker:
        broker.flushall()
    pass_time(backend, minutes=25)
    running.worker()
    bought(producer, 1)
    seen.after_25_minutes = {how: producer.call("orders.get", name) for how, name in names.items()}
    seen.sold_after_25_minutes = sum(len(sold_for(backend.carrier, removals[how])) for how in names)
    pass_time(backend, minutes=6)
    seen.ended |= {how: producer.await_end(name) for how, name in names.items()}

    report = backend.carrier.report()
    seen.violations = report["violations"]
    for how, document in seen.ended.items():
        seen.removed[how] = [order["removed"] for order in sold_for(backend.carrier, document)]
    held = rows(backend.ledger_url, "SELECT e164 FROM held_numbers WHERE released_at IS NULL")
    seen.held = {row["e164"] for row in held}
    return seen


def test_a_removal_that_waits_says_so_for_each_number(course: Course) -> None:
    """The document, `show` and `explain`: which number, since when it is ours, and when its turn is."""
    for how, number in (("wait", course.young[0]), ("split", course.young[1]), ("stranger", STRANGER)):
        document, page = course.waiting[how], course.pages[how]
        (told,) = (each for each in document["numbers"] if each["e164"] == number)
        assert (told["state"], told["code"]) == ("requested", "TAINTED")
        assert "tainted for 30 minutes; it may be removed from " in told["text"]
        assert page["numbers"] == document["numbers"]
        assert number in course.shown[how]
        assert told["text"].partition(";")[0] in " ".join(course.shown[how].split())
        (work_item,) = page["waits_for"]
        assert work_item["lane"] == "submit"
        assert work_item["not_before"] > page["now"]
    assert course.waiting["wait"]["reason"].startswith("tainted: 1 number cannot be removed yet; it goes on at ")


def test_neither_a_killed_worker_nor_a_wiped_broker_lets_a_removal_leave_early_or_never(course: Course) -> None:
    """After 25 minutes nothing has left, after 31 everything has, and the carrier saw none too early."""
    assert {how: document["state"] for how, document in course.after_25_minutes.items()} == {
        "wait": "ACCEPTED",
        "split": "ACCEPTED",
        "stranger": "ACCEPTED",
    }
    assert course.sold_after_25_minutes == 1  # the first part of `split`
    for how in ("wait", "split", "stranger"):
        assert course.ended[how]["state"] == "COMPLETED"
        assert set(states(course.ended[how]).values()) == {"released"}
    assert course.violations == []


def test_wait_sends_one_removal_and_split_two(course: Course) -> None:
    """The clean numbers of `split` leave at once, those of `wait` with the last; the document shows both parts."""
    assert states(course.waiting["split"]) == {course.old[1]: "released", course.young[1]: "requested"}
    assert states(course.waiting["wait"]) == {course.old[0]: "requested", course.young[0]: "requested"}
    assert [sorted(numbers) for numbers in course.removed["wait"]] == [sorted([course.old[0], course.young[0]])]
    assert course.removed["split"] == [[course.old[1]], [course.young[1]]]


def test_fail_fails_and_gives_nothing_up(course: Course) -> None:
    document = course.ended["fail"]
    codes = {number["e164"]: (number["state"], number["code"]) for number in document["numbers"]}
    assert document["state"] == "FAILED"
    assert codes == {course.young[2]: ("failed", "TAINTED"), course.old[2]: ("failed", "NOT_TRIED")}
    assert course.removed["fail"] == []
    assert {course.old[2], course.young[2]} <= course.held


def bought(producer: Producer, quantity: int) -> list[str]:
    document = producer.await_end(producer.submit(a_purchase(quantity=quantity))["order_id"])
    assert document["state"] == "COMPLETED", document
    return sorted(states(document))


def await_waiting(producer: Producer, order_id: str, *, parts: bool) -> Document:
    """Wait until an order waits for the window, and with `parts`, until its first part is done."""
    document: Document = {}
    for _ in eventually():
        document = producer.call("orders.get", order_id)
        told = {number["code"] for number in document["numbers"]}
        done = "released" in states(document).values()
        if document["state"] == "ACCEPTED" and "TAINTED" in told and done == parts:
            break
    return document


def command(running: Processes, *arguments: str) -> str:
    """Run `number-orders` as a person would, and return what it prints."""
    done = subprocess.run(
        [*NUMBER_ORDERS, *arguments], env=running.whole_env, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout
