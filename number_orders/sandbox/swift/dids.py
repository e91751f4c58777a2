"""The numbers that the accounts of the practice Swift hold, have held, or are about to get."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

PENDING, AVAILABLE, UNAVAILABLE = "PENDING", "AVAILABLE", "UNAVAILABLE"


@dataclass(slots=True, kw_only=True)
class Did:
    """One number on one account, from `inserted_at` until `removed_at`."""

    did_id: str
    e164: str
    account_id: str
    inserted_at: datetime
    usable_at: datetime | None  # never, if it is empty
    mms_enabled: bool
    removal_ordered: bool = False  # an order to remove it is under way, or done
    removed_at: datetime | None = None

    def is_held(self, now: datetime) -> bool:
        """Tell whether it is on its account."""
        return self.inserted_at <= now and (self.removed_at is None or now < self.removed_at)

    def is_usable(self, now: datetime) -> bool:
        """Tell whether messages pass."""
        return self.usable_at is not None and self.usable_at <= now

    def sms_status(self, now: datetime) -> str:
        """Say how far text messaging is."""
        return AVAILABLE if self.is_usable(now) else PENDING

    def mms_status(self, now: datetime) -> str:
        """Say how far picture messaging is."""
        return self.sms_status(now) if self.mms_enabled else UNAVAILABLE

    def updated_at(self, now: datetime) -> datetime:
        """Say when it last changed."""
        return self.usable_at if self.usable_at is not None and self.is_usable(now) else self.inserted_at


class Holdings:
    """Who has which number. A number has one did at a time; it may come back after it was removed."""

    def __init__(self) -> None:
        self._by_number: dict[str, Did] = {}
        self._by_id: dict[str, Did] = {}

    def add(self, did: Did) -> None:
        """Put a number on its account."""
        self._by_number[did.e164] = did
        self._by_id[did.did_id] = did

    def get(self, did_id: str) -> Did | None:
        """Return the did with this id, be it held or gone."""
        return self._by_id.get(did_id)

    def removable(self, e164: str, account_id: str, now: datetime) -> Did | None:
        """Return the did an order may remove: held by this account, and not leaving already."""
        did = self._by_number.get(e164)
        if did is None or did.account_id != account_id or did.removal_ordered or not did.is_held(now):
            return None
        return did

    def is_taken(self, e164: str, now: datetime) -> bool:
        """Tell whether a number is on any account here, or about to be."""
        did = self._by_number.get(e164)
        return did is not None and (did.removed_at is None or now < did.removed_at)

    def held(self, now: datetime) -> Iterator[Did]:
        """List every did on any account."""
        return (did for did in self._by_id.values() if did.is_held(now))
