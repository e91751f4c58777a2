"""Tokens and signing keys: shown once, known by their digest, revoked and rotated."""

from datetime import timedelta

from uuid_utils.compat import uuid7

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.producers import TOKEN_PREFIX, NewToken, token_digest
from tests.integration.ledger.examples import MINUTE, accept_order
from tests.integration.ledger.harness import LedgerHarness


async def a_token(ledger: Ledger, producer: str = "crm", *, lasts: timedelta | None = None) -> NewToken:
    made = await ledger.producers.make_token(producer, by="ann@desk", lasts=lasts, label="laptop")
    assert made is not None
    return made


def test_name_is_taken_once(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        assert await ledger.producers.add("crm", "producer", by="ann@desk")
        assert not await ledger.producers.add("crm", "operator", by="bob@desk")
        (row,) = await ledger.producers.all()
        assert (row.producer, row.role, row.added_by, row.signing_keys) == ("crm", "producer", "ann@desk", 0)
        assert await ledger.producers.find("crm") == row
        assert await ledger.producers.find("web") is None

    harness.run(work)


def test_token_is_known_until_it_is_revoked_and_only_its_digest_is_stored(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        assert await ledger.producers.make_token("crm", by="ann@desk") is None
        await ledger.producers.add("crm", "producer", by="ann@desk")
        first, second = await a_token(ledger), await a_token(ledger)
        assert first.text.startswith(TOKEN_PREFIX)
        assert len(first.text) == len(TOKEN_PREFIX) + 43
        assert first.text not in repr(await ledger.producers.tokens())
        holder = await ledger.producers.find_token(token_digest(first.text))
        assert holder is not None
        assert (holder.producer, holder.role, holder.token_id) == ("crm", "producer", first.token_id)
        assert holder.valid_for_s is None
        assert await ledger.producers.find_token(token_digest(first.text[:-1])) is None

        assert await ledger.producers.revoke_token(first.token_id, by="ann@desk") == "crm"
        assert await ledger.producers.revoke_token(first.token_id, by="bob@desk") is None
        assert await ledger.producers.revoke_token(uuid7(), by="bob@desk") is None
        assert await ledger.producers.find_token(token_digest(first.text)) is None
        assert await ledger.producers.find_token(token_digest(second.text)) is not None
        assert [row.is_valid for row in await ledger.producers.tokens()] == [False, True]

    harness.run(work)


def test_token_expires(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.producers.add("crm", "operator", by="ann@desk")
        token = await a_token(ledger, lasts=MINUTE)
        holder = await ledger.producers.find_token(token_digest(token.text))
        assert holder is not None
        assert holder.valid_for_s is not None
        assert 55 < holder.valid_for_s <= 60
        await harness.advance(2 * MINUTE)
        assert await ledger.producers.find_token(token_digest(token.text)) is None
        (row,) = await ledger.producers.tokens()
        assert not row.is_valid

    harness.run(work)


def test_use_is_noted_once_a_minute(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        async def use() -> object:
            await ledger.producers.find_token(token_digest(token.text))
            (row,) = await ledger.producers.tokens()
            return row.last_used_at

        await ledger.producers.add("crm", "producer", by="ann@desk")
        token = await a_token(ledger)
        (row,) = await ledger.producers.tokens()
        assert row.last_used_at is None
        first = await use()
        assert first is not None
        assert await use() == first
        await harness.advance(2 * MINUTE)
        (row,) = await ledger.producers.tokens()
        earlier = row.last_used_at
        assert await use() != earlier

    harness.run(work)


def test_two_signing_keys_are_valid_at_a_time(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        async def valid() -> list[str | None]:
            return list((await ledger.producers.signers(["crm", "unknown"]))["crm"].secrets)

        assert await ledger.producers.make_signing_key("crm", by="ann@desk") is None
        await ledger.producers.add("crm", "producer", by="ann@desk")
        assert await ledger.producers.signers(["crm"]) == {}
        made = []
        for _ in range(3):
            await harness.advance(MINUTE)
            made.append(await ledger.producers.make_signing_key("crm", by="ann@desk"))
        assert await valid() == [made[2], made[1]]
        assert await ledger.producers.retire_signing_keys("crm") == 1
        assert await valid() == [made[2]]

    harness.run(work)


def test_owner_of_an_order_is_known(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        assert await ledger.producers.owners([order.order_id]) == {order.order_id: "default"}

    harness.run(work)
