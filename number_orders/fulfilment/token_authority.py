"""Knows tokens by the ledger, and remembers each for some seconds, so that most requests ask nothing."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from number_orders.fulfilment.authority import Identity, Role
from number_orders.fulfilment.recent_answers import RecentAnswers
from number_orders.ledger.producers import TOKEN_PREFIX, TokenHolder, token_digest

REMEMBERED_S: Final = 5.0
"""How long an answer is kept. So long a token lives on after it was revoked."""
_TOKEN_CHARS_MAX: Final = 200


class TokenStore(Protocol):
    """Finds valid tokens."""

    async def find_token(self, digest: bytes) -> TokenHolder | None: ...


class TokenAuthority:
    """Implements `Authority` on the ledger."""

    def __init__(self, tokens: TokenStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._known: RecentAnswers[bytes, Identity] = RecentAnswers(lasts_s=REMEMBERED_S, clock=clock)
        # Apart, so that many unknown tokens make none forgotten that is valid.
        self._unknown: RecentAnswers[bytes, None] = RecentAnswers(lasts_s=REMEMBERED_S, clock=clock)

    async def identify(self, token: str) -> Identity | None:
        """Return whose token this is; None if it is unknown, expired or revoked.

        Raises:
            LedgerUnavailable: It cannot be looked up.
        """
        if not token.startswith(TOKEN_PREFIX) or len(token) > _TOKEN_CHARS_MAX:
            return None
        digest = token_digest(token)
        if (known := self._known.get(digest)) is not None:
            return known.value
        if self._unknown.get(digest) is not None:
            return None
        holder = await self._tokens.find_token(digest)
        if holder is None:
            self._unknown.keep(digest, None)
            return None
        identity = Identity(holder.producer, Role(holder.role), holder.token_id)
        self._known.keep(digest, identity, lasts_s=holder.valid_for_s)
        return identity
