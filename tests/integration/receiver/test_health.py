"""Whether the process lives and can serve; and its page, which loads nothing from another host."""

import re

from tests.integration.fulfilment.practice import Practice
from tests.integration.receiver.conftest import CRM, Running, running_receiver


def test_healthz_needs_nothing(receiver: Running) -> None:
    receiver.practice.db.execute("ALTER TABLE orders RENAME TO moved_orders")
    with receiver.client() as anybody:
        assert anybody.get("/healthz").json() == {"status": "ok"}
    receiver.practice.db.execute("ALTER TABLE moved_orders RENAME TO orders")


def test_readyz_says_what_is_missing(practice: Practice) -> None:
    faults: dict[str, str | None] = {"schema": None, "broker": None}

    async def schema_fault() -> str | None:
        return faults["schema"]

    async def broker_fault() -> str | None:
        return faults["broker"]

    with (
        running_receiver(practice, schema_fault=schema_fault, broker_fault=broker_fault) as running,
        running.client() as anybody,
    ):
        ready = anybody.get("/readyz")
        assert (ready.status_code, ready.json()) == (
            200,
            {"ready": True, "checks": {"ledger": "ok", "broker": "ok"}},
        )
        faults["broker"] = "ConnectionRefusedError"
        without_broker = anybody.get("/readyz")
        assert without_broker.status_code == 200
        assert "not needed" in without_broker.json()["checks"]["broker"]
        faults["schema"] = "it has schema 0004"
        behind = anybody.get("/readyz")
        assert (behind.status_code, behind.json()["ready"]) == (503, False)
        assert behind.json()["checks"]["ledger"] == "it has schema 0004"


def test_page_loads_nothing_from_elsewhere(receiver: Running) -> None:
    """And needs no token: it says nothing that the source does not."""
    with receiver.client() as anybody:
        page, document = anybody.get("/docs"), anybody.get("/openapi.json").json()
    assert page.status_code == 200
    assert not re.findall(r"<script|<link|<img|@import|url\(", page.text)
    assert set(re.findall(r'href="([^"]+)"', page.text)) == {"openapi.json"}
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in document["paths"]:
        assert path in page.text
    assert "curl -X POST" in page.text


def test_document_has_the_contract(receiver: Running) -> None:
    with receiver.client(**CRM) as client:
        document = client.get("/openapi.json").json()
    assert {"OrderRequest", "Ticket", "OrderDocument", "Problem", "Page", "Events"} <= document["components"][
        "schemas"
    ].keys()
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    posting = document["paths"]["/v1/orders"]["post"]
    assert posting["security"] == [{"token": []}]
    examples = posting["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        answer = client_check(receiver, example["value"])
        assert answer in {"accept", "refuse"}
    assert posting["responses"]["422"]["content"].keys() == {"application/problem+json"}


def client_check(receiver: Running, order: dict[str, object]) -> str:
    with receiver.client(**CRM) as client:
        return str(client.post("/v1/orders", params={"dry_run": 1}, json=order).json()["would"])
