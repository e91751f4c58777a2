"""A client with a signing key signs each message: its task, its id and its arguments."""

import base64
import json
from typing import Any

import pytest

from number_orders_client import Client, NoTicket
from tests.unit.client.test_over_queue import transport

SECRET = "whsec_c2lnbmluZy1rZXktb2YtdGhlLWNybS1hcHBsaWNhdGlvbg=="


def test_every_message_is_signed_with_the_producers_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Celery."""
    signing = pytest.importorskip("number_orders_client.signing")
    way, sent = transport("memory://", secret=SECRET, result_url="cache+memory://", wait_s=0.1), dict[str, Any]()

    def send_task(task: str, **message: Any) -> Any:
        sent.update(message, task=task)
        raise ConnectionError

    monkeypatch.setattr(way.app, "send_task", send_task)
    with pytest.raises(NoTicket):
        way.submit({"key": "crm-1"}, None)
    message = signing.Message(sent["task"], sent["task_id"], kwargs=sent["kwargs"])
    assert signing.is_signed(message, sent["headers"], [SECRET])
    changed = signing.Message(sent["task"], sent["task_id"], kwargs=sent["kwargs"] | {"producer": "another"})
    assert not signing.is_signed(changed, sent["headers"], [SECRET])


def test_so_is_every_message_to_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    signing = pytest.importorskip("number_orders_client.signing")
    way: Any = Client("redis://nowhere.invalid/0", producer="crm", secret=SECRET, wait_s=0.1)._way
    sent: list[str] = []

    def ask(call: Any, _until: float) -> Any:
        sent.append(way._message(call))
        raise ConnectionError

    monkeypatch.setattr(way, "_ask", ask)
    with pytest.raises(NoTicket):
        way.submit({"key": "crm-1"}, None)
    item = json.loads(sent[0])
    _, kwargs, _ = json.loads(base64.b64decode(item["body"]))
    headers = item["headers"]
    message = signing.Message(headers["task"], headers["id"], kwargs=kwargs)
    assert signing.is_signed(message, headers, [SECRET])
