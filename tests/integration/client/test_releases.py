"""Messages of every released client are taken, and answered as that client reads them."""

import importlib.util
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis
from celery import Celery

from tests.processes import Processes

RELEASES = Path(__file__).parents[2] / "releases"


@pytest.fixture
def contract(tmp_path: Path) -> Iterator[ModuleType]:
    """The contract of release 0.1.0, as its client has it."""
    with zipfile.ZipFile(RELEASES / "number_orders_client-0.1.0-py3-none-any.whl") as wheel:
        file = wheel.extract("number_orders/contract.py", tmp_path)
    spec = importlib.util.spec_from_file_location("contract_of_0_1_0", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_messages_of_release_0_1_0_are_answered_as_it_reads_them(
    processes: Processes, app: Celery, broker_url: str, contract: ModuleType
) -> None:
    messages = (RELEASES / "messages-0.1.0.jsonl").read_text().splitlines()
    processes.worker(children=1)
    answers: list[Any] = []
    with redis.Redis.from_url(broker_url) as broker:
        for message in messages:
            broker.lpush("orders", message)
            try:
                answers.append(app.AsyncResult(json.loads(message)["headers"]["id"]).get(timeout=60))
            except ValueError as refused:
                answers.append(str(refused))
    submitted, refused_one, many, document, cancelled = answers

    ticket = contract.Ticket.model_validate(submitted)
    assert (ticket.key, ticket.new, str(ticket.order_id)) == ("crm-1", True, json.loads(messages[0])["headers"]["id"])
    assert refused_one.startswith("order refused: carrier: is not one of ours")
    assert [contract.Ticket.model_validate(one).key for one in many["tickets"]] == ["crm-3"]
    assert [contract.Refusal.model_validate(one).key for one in many["refused"]] == ["crm-4"]
    assert contract.OrderDocument.model_validate(document).order_id == ticket.order_id
    assert (cancelled["order_id"], cancelled["state"]) == (str(ticket.order_id), "CANCELLED")
