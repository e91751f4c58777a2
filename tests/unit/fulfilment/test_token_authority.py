"""A token is looked up once in some seconds; a revoked one dies with the answer that is remembered."""

import asyncio
from uuid import UUID

from number_orders.fulfilment.authority import Authority, Identity, Role
from number_orders.fulfilment.token_authority import REMEMBERED_S, TokenAuthority
from number_orders.ledger.producers import TokenHolder, token_digest

TOKEN = "no_" + "x" * 43
TOKEN_ID = UUID(int=7)


class Tokens:
    """A store with one token. Counts how often it was asked."""

    def __init__(self, valid_for_s: float | None = None) -> None:
        self.holder: TokenHolder | None = TokenHolder("ann", "operator", TOKEN_ID, valid_for_s)
        self.asked = 0

    async def find_token(self, digest: bytes) -> TokenHolder | None:
        self.asked += 1
        return self.holder if digest == token_digest(TOKEN) else None


def test_token_is_looked_up_once_in_some_seconds() -> None:
    tokens, now = Tokens(), [100.0]
    authority: Authority = TokenAuthority(tokens, clock=lambda: now[0])

    async def course() -> None:
        for _ in range(3):
            assert await authority.identify(TOKEN) == Identity("ann", Role.OPERATOR, TOKEN_ID)
            assert await authority.identify(TOKEN[:-1] + "y") is None
        assert tokens.asked == 2
        tokens.holder = None  # revoked
        now[0] += REMEMBERED_S
        assert await authority.identify(TOKEN) is None

    asyncio.run(course())


def test_token_is_not_remembered_beyond_its_end() -> None:
    tokens, now = Tokens(valid_for_s=1.5), [100.0]
    authority = TokenAuthority(tokens, clock=lambda: now[0])

    async def course() -> None:
        assert await authority.identify(TOKEN) is not None
        tokens.holder = None
        now[0] += 1.4
        assert await authority.identify(TOKEN) is not None
        now[0] += 0.2
        assert await authority.identify(TOKEN) is None

    asyncio.run(course())


def test_what_cannot_be_a_token_is_not_looked_up() -> None:
    tokens = Tokens()
    authority = TokenAuthority(tokens)

    async def course() -> None:
        for text in ("", "secret", "no_" + "x" * 500, "\ud800"):
            assert await authority.identify(text) is None

    asyncio.run(course())
    assert tokens.asked == 0


def test_many_unknown_tokens_make_no_valid_one_forgotten() -> None:
    tokens = Tokens()
    authority = TokenAuthority(tokens, clock=lambda: 100.0)

    async def course() -> None:
        assert await authority.identify(TOKEN) is not None
        for index in range(11_000):
            assert await authority.identify(f"no_{index}") is None
        asked = tokens.asked
        assert await authority.identify(TOKEN) is not None
        assert tokens.asked == asked

    asyncio.run(course())
