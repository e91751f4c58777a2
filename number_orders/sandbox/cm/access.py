"""Who may order at the practice CM.com, and for which companies. All made up, and published in docs/sandbox.md."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import ConfigDict

_GUID: Final = "0c0ffee0-0000-4000-8000-0000000000{:02}"


@dataclass(frozen=True, slots=True)
class Profile:
    """A company that may operate numbers of these types in its country; requests name no country of their own."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    country: str
    types: tuple[str, ...]


def _profiles() -> dict[str, Profile]:
    """Number the practice companies by their country's calling code."""
    return {
        _GUID.format(31): Profile("NL", ("LOCAL", "NATIONAL", "TOLLFREE")),
        _GUID.format(32): Profile("BE", ("LOCAL", "TOLLFREE")),
        _GUID.format(44): Profile("GB", ("LOCAL",)),
        _GUID.format(49): Profile("DE", ("LOCAL",)),
        _GUID.format(1): Profile("US", ("LOCAL", "TOLLFREE")),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CmAccount:
    """The one account there is."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    account_guid: str = "0c0ffee0-0000-4000-8000-00000000acc0"
    product_token: str = "0c0ffee0-0000-4000-8000-00000000c0de"  # noqa: S105  made up, published, opens nothing else
    company_profiles: dict[str, Profile] = field(default_factory=_profiles)

    def admits(self, account_guid: str, token: str) -> bool:
        """Tell whether this token opens this account."""
        return account_guid.lower() == self.account_guid and token == self.product_token
