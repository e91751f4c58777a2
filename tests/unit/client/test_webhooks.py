"""A producer acts on what is signed with its secret, and on nothing else."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks.webhooks import Webhook

from number_orders_client import UntrustedNotice, on_change

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1jcm0tYXBwbGljYXRpb24="
OTHER = "whsec_YW5vdGhlci1zZWNyZXQtYWx0b2dldGhlci0tLS0="
DOCUMENT = {
    "order_id": str(uuid4()),
    "key": "crm-1",
    "carrier": "bandwidth",
    "kind": "new_numbers",
    "state": "COMPLETED",
    "final": True,
    "version": 5,
    "reason": None,
    "quantity": 1,
    "numbers": [{"e164": "+19195550100", "state": "acquired", "code": None, "text": None}],
    "carrier_order_id": "c-1",
    "carrier_status": "COMPLETE",
    "accepted_at": "2026-11-22T12:00:00+00:00",
    "ended_at": "2026-11-22T12:01:00+00:00",
}


def signed(body: str, *secrets: str, at: datetime | None = None) -> dict[str, str]:
    moment = at or datetime.fromtimestamp(int(time.time()), UTC)
    signatures = " ".join(Webhook(secret).sign("msg_1", moment, body) for secret in secrets)
    stamp = str(int(moment.timestamp()))
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": stamp, "Webhook-Signature": signatures}


def test_a_signed_webhook_is_the_order_document() -> None:
    body = json.dumps(DOCUMENT)
    for notice in (body, body.encode()):
        document = on_change(notice, signed(body, SECRET), secret=SECRET)
        assert (document.key, document.state, document.numbers[0].e164) == ("crm-1", "COMPLETED", "+19195550100")


def test_either_secret_will_do_while_one_replaces_the_other() -> None:
    body = json.dumps(DOCUMENT)
    assert on_change(body, signed(body, OTHER), secret=[SECRET, OTHER]).key == "crm-1"
    assert on_change(body, signed(body, OTHER, SECRET), secret=SECRET).key == "crm-1"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (json.dumps(DOCUMENT), signed(json.dumps(DOCUMENT), OTHER)),
        (json.dumps(DOCUMENT | {"key": "forged"}), signed(json.dumps(DOCUMENT), SECRET)),
        (json.dumps(DOCUMENT), {}),
        (json.dumps(DOCUMENT), signed(json.dumps(DOCUMENT), SECRET) | {"Webhook-Signature": "v1,not base64"}),
        (json.dumps(DOCUMENT), signed(json.dumps(DOCUMENT), SECRET) | {"Webhook-Signature": "no comma"}),
        (json.dumps(DOCUMENT), signed(json.dumps(DOCUMENT), SECRET) | {"Webhook-Timestamp": "soon"}),
        ("no json", signed("no json", SECRET)),
        ("5", signed("5", SECRET)),
        (json.dumps({"key": "crm-1"}), signed(json.dumps({"key": "crm-1"}), SECRET)),
        (b"\xff", signed("", SECRET)),
    ],
)
def test_anything_else_is_not_trusted(body: Any, headers: dict[str, str]) -> None:
    with pytest.raises(UntrustedNotice):
        on_change(body, headers, secret=SECRET)


def test_an_old_webhook_may_be_a_replay() -> None:
    body = json.dumps(DOCUMENT)
    long_ago = datetime.fromtimestamp(0, UTC) + timedelta(days=20000)
    with pytest.raises(UntrustedNotice, match="too old"):
        on_change(body, signed(body, SECRET, at=long_ago), secret=SECRET)


def test_a_webhook_without_a_secret_is_never_trusted() -> None:
    body = json.dumps(DOCUMENT)
    absent: list[list[str] | None] = [None, []]
    for nothing in absent:
        with pytest.raises(UntrustedNotice, match="give the secret"):
            on_change(body, signed(body, SECRET), secret=nothing)


def test_the_argument_of_a_notify_task_is_read_as_it_is() -> None:
    assert on_change(DOCUMENT).version == 5
    with pytest.raises(UntrustedNotice, match="no order document: key: is needed"):
        on_change({name: value for name, value in DOCUMENT.items() if name != "key"})


def test_a_body_that_was_parsed_before_is_not_taken_for_a_verified_one() -> None:
    """Only the argument of a task may be an object, and a task has neither headers nor a secret."""
    body = json.dumps(DOCUMENT)
    for given in ({"secret": SECRET}, {"headers": signed(body, SECRET)}, {"headers": {}, "secret": SECRET}):
        with pytest.raises(UntrustedNotice, match="give its body as bytes"):
            on_change(DOCUMENT, **given)
    assert on_change(DOCUMENT).key == "crm-1"


def test_an_empty_secret_signs_nothing() -> None:
    """An HMAC with an empty key is one that everybody can make."""
    body = json.dumps(DOCUMENT)
    for secret in ("", "whsec_"):
        with pytest.raises(UntrustedNotice, match="give the secret"):
            on_change(body, signed(body, SECRET), secret=secret)
