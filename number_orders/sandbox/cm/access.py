"""Account and companies at the sandbox CM.com, made up and published in docs/sandbox.md."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import ConfigDict

_GUID: Final = "0c0ffee0-0000-4000-8000-0000000000{:02}"


@dataclass(frozen=True, slots=True)
class Profile:
    """A company that may operate numbers of these types in its country; requests name only the company."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    country: str
    types: tuple[str, ...]


def _profiles() -> dict[str, Profile]:
    """Return the sandbox's companies, whose ids end in their country's calling code."""
    return {
        _GUID.format(31): Profile("NL", ("LOCAL", "NATIONAL", "TOLLFREE")),
        _GUID.format(32): Profile("BE", ("LOCAL", "TOLLFREE")),
        _GUID.format(44): Profile("GB", ("LOCAL",)),
        _GUID.format(49): Profile("DE", ("LOCAL",)),
        _GUID.format(1): Profile("US", ("LOCAL", "TOLLFREE")),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CmAccount:
    """The only account."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    account_guid: str = "0c0ffee0-0000-4000-8000-00000000acc0"
    product_token: str = "0c0ffee0-0000-4000-8000-00000000c0de"  # noqa: S105  made up, published, opens nothing else
    company_profiles: dict[str, Profile] = field(default_factory=_profiles)

    def admits(self, account_guid: str, token: str) -> bool:
        """Return whether this token belongs to this account."""
        return account_guid.lower() == self.account_guid and token == self.product_token
