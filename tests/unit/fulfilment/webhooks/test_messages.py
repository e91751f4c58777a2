"""Messages are what Standard Webhooks says: its own library verifies them."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from number_orders.fulfilment.webhooks.messages import new_secret, webhook_message
from number_orders.orders.model import OrderId
from workers.clock import utc_now

ORDER_ID = OrderId(UUID("018f0000-0000-7000-8000-000000000001"))
DOCUMENT = {"key": "crm-1", "state": "COMPLETED", "reason": "Zürich ☎", "numbers": [{"e164": "+19195550100"}]}


def test_message_is_verified_with_the_secret() -> None:
    """The body is the document."""
    secret, message = new_secret(), webhook_message(ORDER_ID, 4, DOCUMENT)
    assert secret.startswith("whsec_")
    headers = message.headers([secret], utc_now())
    assert Webhook(secret).verify(message.body, headers) == DOCUMENT
    assert headers["webhook-id"].startswith(f"msg_{ORDER_ID}_4_")
    assert json.loads(message.body) == DOCUMENT


def test_two_secrets_are_two_signatures_in_one_header() -> None:
    """A receiver that knows either of them verifies; one that knows another does not."""
    old, new, message = new_secret(), new_secret(), webhook_message(ORDER_ID, 4, DOCUMENT)
    headers = message.headers([old, new], utc_now())
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        assert Webhook(secret).verify(message.body, headers) == DOCUMENT
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(message.body, headers)


def test_repetition_has_the_same_id_and_body_and_its_own_time() -> None:
    """So a receiver that keeps ids knows it, and the standard's tolerance of five minutes holds."""
    secret, again = new_secret(), dict(reversed(DOCUMENT.items()))
    first, second = webhook_message(ORDER_ID, 4, DOCUMENT), webhook_message(ORDER_ID, 4, DOCUMENT)
    assert first == second
    now = utc_now()
    earlier, later = first.headers([secret], now - timedelta(hours=1)), second.headers([secret], now)
    assert earlier["webhook-id"] == later["webhook-id"]
    assert int(later["webhook-timestamp"]) - int(earlier["webhook-timestamp"]) == 3600
    assert Webhook(secret).verify(second.body, later) == again


def test_another_document_has_another_id() -> None:
    """Also under the same version: a ledger that fell back in time gives versions out again."""
    ids = {
        webhook_message(ORDER_ID, 4, DOCUMENT).message_id,
        webhook_message(ORDER_ID, 5, DOCUMENT).message_id,
        webhook_message(ORDER_ID, 4, {**DOCUMENT, "state": "FAILED"}).message_id,
    }
    assert len(ids) == 3


def test_secrets_differ() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
