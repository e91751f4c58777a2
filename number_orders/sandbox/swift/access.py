"""Keys and accounts at the sandbox Swift, made up, published in docs/sandbox.md, and valid only here."""

from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import ConfigDict

_KEY_PREFIX: Final = "apik_"
_OWN: Final = "01K3S620PA5JPWPR10F0000000"
_SUB_ACCOUNTS: Final = ("01K3S620PA5JPWPR10F0000001", "01K3S620PA5JPWPR10F0000002")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwiftAccount:
    """One account with its sub accounts. Only `messaging_accounts` may add numbers that they have elsewhere."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    account_id: str = _OWN
    sub_accounts: tuple[str, ...] = _SUB_ACCOUNTS
    author_id: str = "01KBB59RM02N21V7K0V0000000"
    api_key: str = "apik_sandbox"
    api_key_without_user: str = "apik_sandbox_without_user"
    api_key_ids: tuple[str, ...] = ("01KBC4VZE1CFMG5MAB089000001", "01KBC4VZE1CFMG5MAB089000002")
    messaging_accounts: tuple[str, ...] = (_OWN, _SUB_ACCOUNTS[0])
    mms_accounts: tuple[str, ...] = (_OWN,)

    def knows(self, account_id: str) -> bool:
        """Return whether this is the own account or one of its sub accounts."""
        return account_id in {self.account_id, *self.sub_accounts}

    def refusal(self, authorization: str) -> int | None:
        """Return the status for a caller without access: 401, or 403 for a key without a user; None for a valid key."""
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.startswith(_KEY_PREFIX):
            return 401
        if key == self.api_key_without_user:
            return 403
        return None if key == self.api_key else 401
