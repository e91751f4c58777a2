"""Who asks: a producer or an operator, known by a token."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Role(StrEnum):
    """What somebody may do."""

    PRODUCER = "producer"
    """Order, and see and cancel its own orders."""
    OPERATOR = "operator"
    """See every order, and decide about it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who has shown a valid token."""

    name: str
    """The producer, or the operator as he is named in stories."""
    role: Role
    token_id: UUID


class Authority(Protocol):
    """Knows tokens."""

    async def identify(self, token: str) -> Identity | None:
        """Return whose token this is; None if it is unknown, expired or withdrawn.

        Raises:
            LedgerUnavailable: It cannot be looked up.
        """
        ...
