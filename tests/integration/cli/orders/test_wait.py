"""`wait` returns when every order is at rest, and its exit code is the answer."""

import json
import time
from threading import Timer

from number_orders.orders.events import Acknowledged, CancelAsked, Filled, Parked, Refused, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState
from number_orders.orders.numbers import E164
from tests.integration.cli.conftest import Backend, Command

DONE = (
    SubmissionBegun(),
    Acknowledged(CarrierOrderId("6a1bde32")),
    Filled("COMPLETED", (NumberResult(E164("+19195550100"), NumberState.ACQUIRED),)),
)


def test_orders_at_rest_are_not_waited_for(backend: Backend, command: Command) -> None:
    backend.order("done", *DONE)
    backend.order("refused", SubmissionBegun(), Refused("no"))
    backend.order("parked", Parked("lost thrice"))

    assert command("wait", "done").exit_code == 0
    assert command("wait", "done", "refused").exit_code == 1
    assert command("wait", "done", "refused", "parked").exit_code == 6
    assert "lost thrice" in command("wait", "parked").stdout


def test_a_timeout_ends_the_wait(backend: Backend, command: Command) -> None:
    backend.order("done", *DONE)
    backend.order("parked", Parked("lost thrice"))
    backend.order("waiting")
    began = time.monotonic()

    result = command("wait", "done", "parked", "waiting", "--timeout", "0.3s", "--json")

    assert result.exit_code == 5
    assert time.monotonic() - began >= 0.3
    assert [order["state"] for order in json.loads(result.stdout)] == ["COMPLETED", "PARKED", "ACCEPTED"]


def test_an_end_is_noticed_when_it_comes(backend: Backend, command: Command) -> None:
    order_id = backend.order("a")
    called_back = Timer(0.5, backend.hear, (order_id, CancelAsked("kim", "typo")))
    called_back.start()

    result = command("wait", "a", str(order_id), "--timeout", "90")
    called_back.join()

    assert result.exit_code == 1
    assert result.stdout.count("CANCELLED") == 1  # named twice, waited for once
    assert result.stderr == ""
