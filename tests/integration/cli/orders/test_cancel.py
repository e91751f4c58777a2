"""`cancel` calls back an order that the carrier cannot have yet."""

import json

from number_orders.cli.services import whoami
from number_orders.orders.events import SubmissionBegun
from tests.integration.cli.conftest import Backend, Command


def test_an_order_is_called_back_and_twice_is_once(backend: Backend, command: Command) -> None:
    order_id = backend.order("a")

    told = command("cancel", "a", "--why", "wrong city")

    assert told.exit_code == 0
    assert told.stdout.startswith(f"CANCELLED {order_id} ")
    assert f"{whoami()}: wrong city" in command("show", "a", columns=None).stdout
    assert json.loads(command("cancel", str(order_id), "--json").stdout)["state"] == "CANCELLED"


def test_an_order_that_has_gone_too_far_is_not_called_back(backend: Backend, command: Command) -> None:
    backend.order("a", SubmissionBegun())

    told = command("cancel", "a")

    assert told.exit_code == 1
    assert told.stdout == ""
    assert "may have it; try again once that is known" in told.stderr
