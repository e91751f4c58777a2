"""`status` shows the whole service on one screen."""

import asyncio
import json

import pytest

from number_orders.cli.operations import status
from number_orders.cli.services import open_services
from number_orders.orders.events import Acknowledged, AnswerLost, FoundTwice, Refused, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, Lane
from tests.integration.cli.conftest import BANDWIDTH, Backend, Command

THEIRS = CarrierOrderId("77")


def pause_lane(backend: Backend) -> None:
    async def work() -> None:
        async with open_services(backend.settings) as services:
            await services.ledger.pauses.pause(BANDWIDTH, [Lane.SUBMIT], by="ana", why="stock-taking")

    asyncio.run(work())


def sweep(backend: Backend) -> None:
    async def work() -> None:
        async with open_services(backend.settings) as services:
            await services.orders.sweep()

    asyncio.run(work())


def test_one_screen_has_everything_that_a_person_on_call_needs(backend: Backend, command: Command) -> None:
    backend.order("waits")
    backend.order("open", SubmissionBegun(), Acknowledged(THEIRS, "RECEIVED"))
    backend.order("refused", SubmissionBegun(), Refused("no numbers"))
    parked = backend.order("parked", SubmissionBegun(), AnswerLost("reset"), FoundTwice((CarrierOrderId("8"), THEIRS)))
    backend.raise_trouble(parked)
    backend.limit("ORDER", "HTTP 429")
    pause_lane(backend)
    sweep(backend)

    shown = command("status", columns=100).stdout

    assert len(shown.splitlines()) <= 32
    assert max(map(len, shown.splitlines())) <= 100
    for words in (
        "workers are at work",
        "oldest under way",
        "ACCEPTED",
        "PARKED",
        "FAILED",
        "bandwidth submit: paused by ana",
        "stock-taking",
        "wants no ORDER requests",
        str(parked),
        "overdue",
        "still [2J OPEN",
        "`number-orders parked`",
        "`number-orders alarms`",
    ):
        assert words in shown, words
    assert "\x1b" not in shown
    found = json.loads(command("status", "--json").stdout)
    assert {(one["state"], one["orders"]) for one in found["unfinished"]} == {
        ("ACCEPTED", 1),
        ("OPEN", 1),
        ("PARKED", 1),
    }
    assert [row["key"] for row in found["parked"]] == ["parked"]
    assert {hold["held_by"] for hold in found["held"]} == {"person", "limit"}
    assert found["accepted"] == {"last_hour": 4, "last_day": 4}


def test_an_idle_service_says_so(backend: Backend, command: Command) -> None:
    shown = command("status").stdout

    assert "none under way" in shown
    assert "nothing is owed" in shown
    assert shown.count("none\n") == 2


def test_watching_shows_it_again_until_interrupted(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(status.watch(backend.settings, every_s=0.5, pause=pause))

    assert capsys.readouterr().out.count("none under way") == 2
    assert pauses == [0.5, 0.5]


def test_watch_and_json_exclude_each_other(backend: Backend, command: Command) -> None:
    assert command("status", "--watch", "--json").exit_code == 2
