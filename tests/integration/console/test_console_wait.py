"""`wait` and `cancel`: the exit code is the answer."""

import json
import time
from threading import Timer

from number_orders.cli.services import whoami
from number_orders.orders.events import Acknowledged, CancelAsked, Filled, Parked, Refused, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState
from number_orders.orders.numbers import E164
from tests.integration.console.conftest import Command, House

DONE = (
    SubmissionBegun(),
    Acknowledged(CarrierOrderId("6a1bde32")),
    Filled("COMPLETED", (NumberResult(E164("+19195550100"), NumberState.ACQUIRED),)),
)


def test_orders_at_rest_are_not_waited_for(house: House, command: Command) -> None:
    house.order("done", *DONE)
    house.order("refused", SubmissionBegun(), Refused("no"))
    house.order("parked", Parked("lost thrice"))

    assert command("wait", "done").exit_code == 0
    assert command("wait", "done", "refused").exit_code == 1
    assert command("wait", "done", "refused", "parked").exit_code == 6
    assert "lost thrice" in command("wait", "parked").stdout


def test_the_time_may_be_over_first(house: House, command: Command) -> None:
    house.order("done", *DONE)
    house.order("parked", Parked("lost thrice"))
    house.order("waiting")
    began = time.monotonic()

    told = command("wait", "done", "parked", "waiting", "--timeout", "0.3s", "--json")

    assert told.exit_code == 5
    assert time.monotonic() - began >= 0.3
    assert [order["state"] for order in json.loads(told.stdout)] == ["COMPLETED", "PARKED", "ACCEPTED"]


def test_an_end_is_noticed_when_it_comes(house: House, command: Command) -> None:
    order_id = house.order("a")
    called_back = Timer(0.5, house.hear, (order_id, CancelAsked("kim", "typo")))
    called_back.start()

    told = command("wait", "a", str(order_id), "--timeout", "90")
    called_back.join()

    assert told.exit_code == 1
    assert told.stdout.count("CANCELLED") == 1  # named twice, waited for once
    assert told.stderr == ""


def test_an_order_is_called_back_and_twice_is_once(house: House, command: Command) -> None:
    order_id = house.order("a")

    told = command("cancel", "a", "--why", "wrong city")

    assert told.exit_code == 0
    assert told.stdout.startswith(f"CANCELLED {order_id} ")
    assert f"{whoami()}: wrong city" in command("show", "a", columns=None).stdout
    assert json.loads(command("cancel", str(order_id), "--json").stdout)["state"] == "CANCELLED"


def test_an_order_that_has_gone_too_far_is_not_called_back(house: House, command: Command) -> None:
    house.order("a", SubmissionBegun())

    told = command("cancel", "a")

    assert told.exit_code == 1
    assert told.stdout == ""
    assert "may have it; try again once that is known" in told.stderr
