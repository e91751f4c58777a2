"""The numbers that the accounts of the sandbox Swift hold, held, or are about to get."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_FIRST_OLD_AT: Final = datetime(2020, 1, 1, tzinfo=UTC)
_OLD_AREAS: Final = ("603", "505")
"""Area codes of which nothing is in stock. Each has eight million numbers."""

PENDING, AVAILABLE, UNAVAILABLE = "PENDING", "AVAILABLE", "UNAVAILABLE"


@dataclass(slots=True, kw_only=True)
class Did:
    """One number on one account, from `inserted_at` until `removed_at`. The list may show it later, and longer."""

    did_id: str
    e164: str
    account_id: str
    inserted_at: datetime
    usable_at: datetime | None  # None: never
    mms_enabled: bool
    removal_ordered: bool = False  # an order removes it, or has removed it
    removed_at: datetime | None = None
    listed_at: datetime | None = None  # None: from inserted_at on
    unlisted_at: datetime | None = None  # None: from removed_at on

    def is_listed(self, now: datetime) -> bool:
        """Return whether the list of numbers shows the number at `now`."""
        gone_at = self.unlisted_at or self.removed_at
        return (self.listed_at or self.inserted_at) <= now and (gone_at is None or now < gone_at)

    def is_held(self, now: datetime) -> bool:
        """Return whether the number is on its account at `now`."""
        return self.inserted_at <= now and (self.removed_at is None or now < self.removed_at)

    def is_usable(self, now: datetime) -> bool:
        """Return whether the number can send and receive messages."""
        return self.usable_at is not None and self.usable_at <= now

    def sms_status(self, now: datetime) -> str:
        """Return the status of text messaging."""
        return AVAILABLE if self.is_usable(now) else PENDING

    def mms_status(self, now: datetime) -> str:
        """Return the status of picture messaging."""
        return self.sms_status(now) if self.mms_enabled else UNAVAILABLE

    def updated_at(self, now: datetime) -> datetime:
        """Return when the number last changed."""
        return self.usable_at if self.usable_at is not None and self.is_usable(now) else self.inserted_at


def old_did(position: int, did_id: str, account_id: str) -> Did:
    """Return a number that an account has had for years, one of millions: none that is in stock."""
    npa, line = divmod(position, 8_000_000)
    at = _FIRST_OLD_AT + timedelta(seconds=position)
    return Did(
        did_id=did_id,
        e164=f"+1{_OLD_AREAS[npa]}{2_000_000 + line}",
        account_id=account_id,
        inserted_at=at,
        usable_at=at,
        mms_enabled=False,
    )


class Holdings:
    """Which account has which number. A number has one did at a time; it may be added again after its removal."""

    def __init__(self) -> None:
        self._by_number: dict[str, Did] = {}
        self._by_id: dict[str, Did] = {}

    def add(self, did: Did) -> None:
        """Add a number to its account."""
        self._by_number[did.e164] = did
        self._by_id[did.did_id] = did

    def get(self, did_id: str) -> Did | None:
        """Return the did with this id, also one that was removed."""
        return self._by_id.get(did_id)

    def removable(self, e164: str, account_id: str, now: datetime) -> Did | None:
        """Return the did that an order may remove: held by this account, and not being removed."""
        did = self._by_number.get(e164)
        if did is None or did.account_id != account_id or did.removal_ordered or not did.is_held(now):
            return None
        return did

    def is_taken(self, e164: str, now: datetime) -> bool:
        """Return whether a number is on any account, or about to be."""
        did = self._by_number.get(e164)
        return did is not None and (did.removed_at is None or now < did.removed_at)

    def held(self, now: datetime) -> Iterator[Did]:
        """Return every did on any account."""
        return (did for did in self._by_id.values() if did.is_held(now))
