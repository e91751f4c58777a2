"""Flower is shown orders, from wherever they came, and none of our own messages."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import redis
from celery import Celery
from celery.events.state import State

from config.settings import Settings
from number_orders.cli.services import open_services
from tests.flower_events import task_events
from tests.later import LATER
from tests.processes import Processes, eventually

ORDER = {
    "key": "crm-1",
    "carrier": "bandwidth",
    "kind": "new_numbers",
    "criteria": {"npa": "919"},
    "quantity": 1,
    "notes": "for Jane Doe",
    "not_before": LATER,
}


def test_each_order_is_a_row_and_no_message_is(processes: Processes, app: Celery, broker_url: str) -> None:
    """Submitted, cancelled, refused, asked about: two orders are two rows, and what is not an order is none."""
    with redis.Redis.from_url(broker_url) as broker, task_events(app, broker) as events:
        worker = processes.worker(children=1)
        processes.beat()
        order_id = str(uuid4())
        app.send_task("orders.submit", [ORDER], queue="orders", task_id=order_id).get(timeout=60)
        app.send_task("orders.submit", [{}], queue="orders")
        many = app.send_task("orders.submit_many", [[ORDER | {"key": "crm-2"}]], queue="orders").get(timeout=60)
        app.send_task("orders.get", [order_id], queue="orders").get(timeout=60)
        app.send_task("orders.cancel", [order_id, "crm", "no need"], queue="orders").get(timeout=60)
        for _ in eventually():
            if any(event["type"] == "task-revoked" for event in events.get(order_id, ())):
                break
    assert set(events) == {order_id, many["tickets"][0]["order_id"]}
    state: Any = State()  # the stubs lack its tasks
    for event in events[order_id]:
        state.event(dict(event))
    task = state.tasks[order_id]
    assert (task.name, task.state) == ("order.bandwidth.new_numbers", "REVOKED")
    assert task.worker.hostname.startswith(f"{worker.name}@")
    assert task.result == "CANCELLED: 0 of 1 number; crm: no need"
    assert "Jane" not in str(events)


def test_an_order_from_the_command_line_is_shown_at_once(
    app: Celery, ledger_url: str, broker_url: str, env: dict[str, str], monkeypatch: Any
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    async def submit() -> str:
        async with open_services(Settings()) as services:
            return str((await services.intake.submit(ORDER, producer="crm")).order_id)

    with redis.Redis.from_url(broker_url) as broker, task_events(app, broker) as events:
        order_id = asyncio.run(submit())
        for _ in eventually():
            if order_id in events:
                break
    (event,) = events[order_id]
    assert (event["type"], event["hostname"].partition("@")[0]) == ("task-received", "number-orders")


def test_a_broker_that_is_away_keeps_no_order_waiting(ledger_url: str, env: dict[str, str], monkeypatch: Any) -> None:
    for name, value in {**env, "NUMBER_ORDERS_BROKER_URL": "redis://127.0.0.1:1/0"}.items():
        monkeypatch.setenv(name, value)

    async def submit() -> None:
        async with asyncio.timeout(45), open_services(Settings()) as services:
            for number in range(50):
                await services.intake.submit(ORDER | {"key": f"crm-{number}"}, producer="crm")

    asyncio.run(submit())
    with psycopg.connect(ledger_url) as db:
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (50,)


def test_the_setting_turns_it_off(processes: Processes, app: Celery, broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as broker, task_events(app, broker) as events:
        worker = processes.worker(children=1, env={"NUMBER_ORDERS_ORDER_EVENTS": "false"})
        app.send_task("orders.submit", [ORDER], queue="orders").get(timeout=60)
        assert worker.stop() == 0  # what was to be sent is sent by then
    assert events == {}
