"""The comparison finds everything that can be wrong: each test spoils one thing of a faultless run."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from number_orders.cli.demo.verdict import Verdict, judge

A, B, C = "a" * 8, "b" * 8, "c" * 8


@dataclass
class Run:
    """What a demo hands to the comparison."""

    tickets: dict[str, set[str]]
    ours: dict[str, Any]
    heard: dict[str, list[Any]]
    report: dict[str, Any]

    def judged(self) -> Verdict:
        return judge(tickets=self.tickets, ours=self.ours, heard=self.heard, report=self.report)

    def refresh_news(self) -> None:
        """Notify what the ledger has, so that only one thing is wrong at a time."""
        self.heard = {order_id: [copy.deepcopy(document)] for order_id, document in self.ours.items()}


def document(order_id: str, state: str, numbers: dict[str, str], kind: str = "new_numbers") -> dict[str, Any]:
    return {
        "order_id": order_id,
        "reference": order_id,
        "kind": kind,
        "key": f"key-{order_id}",
        "state": state,
        "final": True,
        "version": 3,
        "reason": None,
        "numbers": [{"e164": e164, "state": state, "code": None, "text": None} for e164, state in numbers.items()],
    }


def truth(reference: str, outcome: str | None, bought: list[str], failed: list[str], fate: str = "ordinary") -> Any:
    return {
        "customer_order_id": reference,
        "order_id": f"theirs-{reference}",
        "outcome": outcome,
        "fate": fate,
        "bought": bought,
        "failed": failed,
    }


def removal(reference: str, *removed: str) -> Any:
    return {**truth(reference, "COMPLETED" if removed else "FAILED", [], []), "removed": list(removed)}


@pytest.fixture
def run() -> Run:
    """Return a faultless run: one complete order, one partial, and a removal in two parts."""
    ours = {
        A: document(A, "COMPLETED", {"+1": "acquired", "+2": "acquired"}),
        B: document(B, "PARTIAL", {"+3": "acquired", "+4": "failed"}),
        C: document(C, "COMPLETED", {"+5": "released", "+6": "released"}, "remove_numbers"),
    }
    report = {
        "orders": [
            truth(A, "COMPLETED", ["+1", "+2"], []),
            truth(B, "PARTIAL", ["+3"], ["+4"]),
            removal(C, "+5"),
            removal(C, "+6"),
        ],
        "duplicates": {"customer_order_ids": {}, "numbers": {}},
        "violations": [],
    }
    run = Run({f"key-{name}": {name} for name in (A, B, C)}, ours, {}, report)
    run.refresh_news()
    return run


def test_faultless_run_has_no_findings(run: Run) -> None:
    verdict = run.judged()

    assert verdict.wrongs == []
    assert verdict.numbers_compared == 6


def spoil_state(run: Run) -> None:
    run.ours[B]["state"] = "COMPLETED"


def spoil_missing_number(run: Run) -> None:
    run.ours[A]["numbers"].pop()


def spoil_number_not_bought(run: Run) -> None:
    run.ours[B]["numbers"][1]["state"] = "acquired"


def spoil_failed_number_unnamed(run: Run) -> None:
    run.ours[B]["numbers"].pop()


def spoil_carrier_still_open(run: Run) -> None:
    run.report["orders"][0] |= {"outcome": None}


def spoil_carrier_never_had_it(run: Run) -> None:
    run.report["orders"].pop(1)


def spoil_part_not_released(run: Run) -> None:
    run.report["orders"].pop()


def spoil_released_and_not_listed(run: Run) -> None:
    run.ours[C]["numbers"][0]["state"] = "failed"


def spoil_end_of_removal(run: Run) -> None:
    run.ours[C]["state"] = "PARTIAL"


def spoil_errors_not_noticed(run: Run) -> None:
    run.report["orders"][0] |= {"fate": "with_errors"}


def spoil_unknown_order_at_the_carrier(run: Run) -> None:
    run.report["orders"].append(truth("d" * 8, "COMPLETED", ["+9"], []))


def test_second_removal_of_a_number_may_find_it_gone(run: Run) -> None:
    """Two orders remove the same number; the carrier does it for one of them."""
    second = "e" * 8
    run.ours[second] = document(second, "COMPLETED_WITH_ERRORS", {"+5": "released"}, "remove_numbers")
    run.tickets[f"key-{second}"] = {second}
    run.report["orders"].append(removal(second))
    run.refresh_news()

    assert run.judged().wrongs == []


def test_number_removed_inside_its_window_is_found(run: Run) -> None:
    run.report["violations"].append({"customer_order_id": C, "number": "+5", "age_s": 3.25})

    assert run.judged().wrongs == [f"order {C} removed +5 at an age of 3.2 s, inside its taint window"]


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_state,
        spoil_missing_number,
        spoil_number_not_bought,
        spoil_failed_number_unnamed,
        spoil_carrier_still_open,
        spoil_part_not_released,
        spoil_released_and_not_listed,
        spoil_end_of_removal,
        spoil_carrier_never_had_it,
        spoil_errors_not_noticed,
        spoil_unknown_order_at_the_carrier,
    ],
)
def test_wrong_end_is_found(run: Run, spoil: Callable[[Run], None]) -> None:
    spoil(run)
    run.refresh_news()

    verdict = run.judged()

    assert verdict.wrong_end != []
    assert verdict.wrongs == verdict.wrong_end


def test_request_that_the_carrier_refused_is_a_failure(run: Run) -> None:
    run.report["orders"].pop(1)
    run.ours[B] = document(B, "FAILED", {"+3": "failed", "+4": "failed"})
    run.refresh_news()

    assert run.judged().wrongs == []


@pytest.mark.parametrize("what", ["customer_order_ids", "numbers"])
def test_what_was_bought_twice_is_found(run: Run, what: str) -> None:
    run.report["duplicates"][what] = {"+1": ["theirs-1", "theirs-2"]}

    assert len(run.judged().bought_twice) == 1


def test_missing_order_is_lost(run: Run) -> None:
    del run.ours[A]
    run.refresh_news()

    assert f"order {A} was accepted and is not in the ledger" in run.judged().lost


def test_order_without_end_is_lost(run: Run) -> None:
    run.ours[A] |= {"final": False, "state": "IN_DOUBT"}

    assert len(run.judged().lost) == 1


def test_end_without_notification_is_found(run: Run) -> None:
    del run.heard[A]

    assert len(run.judged().told_wrong) == 1


def test_wrong_notification_is_found(run: Run) -> None:
    run.heard[A][0]["numbers"].pop()

    assert len(run.judged().told_wrong) == 1


def test_end_may_be_notified_twice(run: Run) -> None:
    run.heard[A] *= 2

    assert run.judged().wrongs == []


def test_notifications_out_of_order_are_found(run: Run) -> None:
    run.heard[A].append(run.heard[A][0] | {"version": 1, "state": "OPEN", "final": False})

    assert len(run.judged().told_wrong) == 1


def test_key_with_two_orders_is_found(run: Run) -> None:
    run.tickets[f"key-{A}"].add(B)

    assert len(run.judged().tickets_wrong) == 1


def test_order_without_ticket_is_found(run: Run) -> None:
    del run.tickets[f"key-{A}"]

    assert len(run.judged().tickets_wrong) == 1
