"""Tokens for tests: an authority that knows a few, and as a program a receiver that uses it."""

import contextlib
from collections.abc import Mapping
from uuid import UUID

from config.settings import Settings
from number_orders.fulfilment.authority import Identity, Role
from workers import receiver

TOKENS: Mapping[str, Identity] = {
    "crm-token": Identity("crm", Role.PRODUCER, UUID(int=1)),
    "shop-token": Identity("shop", Role.PRODUCER, UUID(int=2)),
    "ada-token": Identity("ada", Role.OPERATOR, UUID(int=3)),
}


class KnownTokens:
    """Knows the tokens above."""

    async def identify(self, token: str) -> Identity | None:
        return TOKENS.get(token)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        receiver.serve(Settings(), open_authority=lambda _: KnownTokens())
