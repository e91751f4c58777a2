"""Sessions of operators in the browser: opened by a token or a proxy's word, over after a while without use.

The cookie has 256 random bits; the ledger keeps their SHA-256. Every receiver knows a session, and a token that is
revoked ends those that it has opened.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from number_orders.ledger.connection import Database

_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SessionHolder:
    """Whose a session is."""

    operator: str
    token_id: UUID | None
    """The token that the operator came with; None: a proxy has named the operator."""


class Sessions:
    """Opens, finds and closes sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, operator: str, token_id: UUID | None) -> str:
        """Open a session, and return what its cookie holds."""
        secret = secrets.token_urlsafe(_BYTES)
        params = {"digest": _digest(secret), "operator": operator, "token_id": token_id}
        await self._database.run("open_session", params)
        return secret

    async def find(
        self, secret: str, *, idle: timedelta, lasts: timedelta, touches: bool = True
    ) -> SessionHolder | None:
        """Return whose session this is; None if it is unknown, over, unused for `idle`, or its token is not valid.

        Without `touches` the question does not count as use.
        """
        params = {"digest": _digest(secret), "idle": idle, "lasts": lasts, "touches": touches}
        found = await self._database.run("find_session", params)
        return SessionHolder(found[0]["operator"], found[0]["token_id"]) if found else None

    async def close(self, secret: str) -> None:
        """Close a session; nothing happens if there is none."""
        await self._database.run("close_session", {"digest": _digest(secret)})


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
