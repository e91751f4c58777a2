"""`cancel` ends an order that was not sent yet, and refuses one that is being sent."""

import json

from number_orders.cli.services import whoami
from number_orders.orders.events import SubmissionBegun
from tests.integration.cli.conftest import Backend, Command


def test_cancelling_twice_is_cancelling_once(backend: Backend, command: Command) -> None:
    order_id = backend.order("a")

    result = command("cancel", "a", "--why", "wrong city")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"CANCELLED {order_id} ")
    assert f"{whoami()}: wrong city" in command("show", "a", columns=None).stdout
    assert json.loads(command("cancel", str(order_id), "--json").stdout)["state"] == "CANCELLED"


def test_an_order_that_is_being_sent_is_not_cancelled(backend: Backend, command: Command) -> None:
    backend.order("a", SubmissionBegun())

    result = command("cancel", "a")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "may have it; try again once that is known" in result.stderr
