"""The demo's receiver of webhooks believes what is signed with its secret, once, and nothing else."""

import ssl
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

import httpx
import pytest

from number_orders.cli.demo.webhooks import CERTIFICATE, WebhookReceiver
from number_orders.fulfilment.webhooks.messages import new_secret, webhook_message
from number_orders.orders.model import OrderId
from workers.clock import machine_now

SECRET = new_secret()
ORDER = OrderId(UUID(int=1))


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        running.deliveries.secret = SECRET
        yield running


def send(receiver: WebhookReceiver, version: int, secret: str = SECRET, at: datetime | None = None) -> int:
    document = {"order_id": str(ORDER), "version": version, "final": version > 1}
    message = webhook_message(ORDER, version, document)
    with httpx.Client(verify=ssl.create_default_context(cafile=CERTIFICATE), trust_env=False) as client:
        headers = message.headers([secret], at or machine_now())
        return client.post(receiver.url, content=message.body, headers=headers).status_code


def test_signed_document_is_kept_once(receiver: WebhookReceiver) -> None:
    assert send(receiver, 1) == HTTPStatus.SERVICE_UNAVAILABLE  # the first is put off
    assert [send(receiver, 1), send(receiver, 1), send(receiver, 2)] == [HTTPStatus.NO_CONTENT] * 3

    assert [document["version"] for document in receiver.heard()[str(ORDER)]] == [1, 2]
    assert receiver.ends() == 1
    assert (receiver.deliveries.repeated, receiver.deliveries.refused) == (1, 0)


def test_other_secret_is_refused(receiver: WebhookReceiver) -> None:
    assert send(receiver, 1, secret=new_secret()) == HTTPStatus.UNAUTHORIZED
    assert receiver.send_forgery() == HTTPStatus.UNAUTHORIZED

    assert receiver.heard() == {}
    assert receiver.deliveries.refused == 2
