"""Secrets: two for each producer at most, and none is kept after it was removed."""

import asyncio
from typing import Final

import psycopg

from number_orders.ledger.ledger import Ledger, PostgresLedger
from tests.integration.ledger.harness import LedgerHarness

FIRST: Final = "whsec_Zmlyc3Qgc2VjcmV0IG9mIHRoZSB0ZXN0"
SECOND: Final = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgdGVzdA=="


def test_a_producer_has_two_secrets_at_most(harness: LedgerHarness) -> None:
    """The one in use and the next; a third has a place when one is removed."""

    async def work(ledger: Ledger) -> None:
        secrets = ledger.webhook_secrets
        first = await secrets.add("crm", FIRST, by="ana")
        second = await secrets.add("crm", SECOND, by="ana")
        assert first is not None
        assert second is not None
        assert await secrets.add("crm", FIRST, by="ana") is None
        assert await secrets.add("shop", FIRST, by="ana") is not None
        assert await secrets.having(["crm", "shop", "nobody"]) == {"crm", "shop"}
        assert not await secrets.remove("shop", first, by="ben")  # not its own
        assert await secrets.remove("crm", first, by="ben")
        assert not await secrets.remove("crm", first, by="ben")
        assert await secrets.add("crm", FIRST, by="eva") is not None
        known = [(each.secret_id, each.added_by, each.removed_by) for each in await secrets.known("crm")]
        assert known[:2] == [(first, "ana", "ben"), (second, "ana", None)]
        assert known[2][1:] == ("eva", None)

    harness.run(work)


def test_a_producer_without_a_valid_secret_has_none(harness: LedgerHarness) -> None:
    """The removed one does not count."""

    async def work(ledger: Ledger) -> None:
        secret_id = await ledger.webhook_secrets.add("crm", FIRST, by="ana")
        assert secret_id is not None
        await ledger.webhook_secrets.remove("crm", secret_id, by="ana")
        assert await ledger.webhook_secrets.having(["crm"]) == frozenset()

    harness.run(work)


def test_removed_secret_is_not_in_the_database(ledger_url: str) -> None:
    """Its row says who added and removed it."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, wait_s=20) as ledger:
            secret_id = await ledger.webhook_secrets.add("crm", FIRST, by="ana")
            assert secret_id is not None
            await ledger.webhook_secrets.remove("crm", secret_id, by="ben")

    asyncio.run(work())
    with psycopg.connect(ledger_url) as db:
        assert db.execute("SELECT secret, added_by, removed_by FROM webhook_secrets").fetchall() == [
            (None, "ana", "ben")
        ]


def test_two_people_at_once_do_not_add_a_third(ledger_url: str) -> None:
    """Ten at once: two succeed."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, connections_max=5, wait_s=20) as ledger:
            added = await asyncio.gather(*(ledger.webhook_secrets.add("crm", FIRST, by="ana") for _ in range(10)))
            # Two that chose the same place at the same moment count as one; nobody gets a third.
            assert 1 <= sum(secret_id is not None for secret_id in added) <= 2
            assert len(await ledger.webhook_secrets.known("crm")) <= 2

    asyncio.run(work())
