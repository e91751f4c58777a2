"""docs/runbook.md explains every alarm and every reason for which an order is parked."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from number_orders.orders.alarms import Alarm

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbook.md").read_text("utf-8")
PACKAGES = (
    "number_orders/carriers",
    "number_orders/fulfilment",
    "number_orders/ledger",
    "number_orders/orders",
    "tasks",
    "workers",
)
CALLS = {"raise_alarm", "note_alarm", "drop_alarms", "drop_alarms_unless", "_alarm"}
REASON = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)


def code() -> Iterator[ast.Module]:
    for package in PACKAGES:
        for module in sorted((ROOT / package).rglob("*.py")):
            yield ast.parse(module.read_text("utf-8"))


def calls(*names: str) -> Iterator[ast.Call]:
    for module in code():
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", None))
                if called in names:
                    yield node


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_is_explained(alarm: Alarm) -> None:
    """A row of its own, with what to look at and what to type."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{alarm}` |")]
    assert all(cell.strip() for cell in row.strip("|").split("|")), row


def test_no_alarm_has_a_name_that_is_not_in_the_list() -> None:
    """A name made up on the spot would be one that nobody can look up."""
    named = [call.args[0] for call in calls(*CALLS) if call.args]
    assert len(named) >= len(Alarm)
    assert [ast.unparse(name) for name in named if isinstance(name, ast.Constant)] == []


def test_every_alarm_is_raised_somewhere() -> None:
    """And none is explained that never comes."""
    attributes = (node for module in code() for node in ast.walk(module) if isinstance(node, ast.Attribute))
    raised = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "Alarm"}
    assert raised == {alarm.name for alarm in Alarm}


def test_every_reason_for_which_an_order_is_parked_is_explained() -> None:
    """Each is found by its longest words that are always the same."""
    reasons = [call.args[0] for call in calls("Parked") if isinstance(call.args[0], ast.JoinedStr | ast.Constant)]
    assert len(reasons) >= 5
    for reason in reasons:
        parts = reason.values if isinstance(reason, ast.JoinedStr) else [reason]
        words = [str(part.value).strip(" ;,:()'") for part in parts if isinstance(part, ast.Constant)]
        longest = max((piece for said in words for piece in re.split(r"[;(]", said)), key=len).strip()
        assert any(longest in told for told in REASON.findall(PAGE)), longest


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`number-orders ([a-z-]+)", PAGE))))
def test_every_command_that_is_to_be_typed_is_there(command: str) -> None:
    from number_orders.cli.app import _PANELS  # noqa: PLC0415  the only test here that needs the commands

    assert command in {name for commands in _PANELS.values() for name in commands}
