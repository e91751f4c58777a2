"""Secrets that clients show, such as tokens and sessions: how many unknown ones an address may try.

Each unknown secret costs a statement of the ledger. One that was valid when it was last shown is never held back: its
owner may share an address with somebody who guesses. Memory is bounded: of too many the oldest goes.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final, TypeVar

from number_orders.fulfilment.recent_answers import RecentAnswers
from number_orders.receiver.rate import RequestRate, TokenBucket

Found = TypeVar("Found")

ADDRESSES_MAX: Final = 10_000
_SECRETS_MAX: Final = 10_000
_REFUSED_S: Final = 5.0
"""How long an unknown secret is remembered. A secret is random, so it does not become valid later."""
_V6_PREFIX: Final = 64
"""Bits of an IPv6 address that belong to one client: it chooses the others as it likes."""


class TooManyAttempts(Exception):
    """An address has tried too many unknown secrets."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many unknown tokens from this address; try again in {_seconds(wait_s)} s")
        self.retry_after = str(_seconds(wait_s))
        """For the header `Retry-After`."""


class Attempts:
    """Looks secrets up, as often as their address may try."""

    def __init__(self, rate: RequestRate, clock: Callable[[], float], *, addresses_max: int = ADDRESSES_MAX) -> None:
        """Set up one process.

        Args:
            rate: How many unknown secrets of one address are looked up.
            clock: Counts seconds.
            addresses_max: How many addresses are remembered.
        """
        self._rate = rate
        self._clock = clock
        self._addresses_max = addresses_max
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._refused: RecentAnswers[bytes, None] = RecentAnswers(
            lasts_s=_REFUSED_S, clock=clock, count_max=_SECRETS_MAX
        )

    async def look_up(
        self, secret: str, find: Callable[[], Awaitable[Found | None]], *, address: str | None
    ) -> Found | None:
        """Return what `find` returns for this secret; None if it is unknown, which `find` is not asked twice in 5 s.

        Raises:
            TooManyAttempts: Its address has tried too many; `find` was not asked.
        """
        digest = sha256(secret.encode(errors="replace")).digest()
        if self._refused.get(digest) is not None:
            return None
        bucket = None if digest in self._known else self._bucket(address)
        if bucket is not None and (wait_s := bucket.take()) > 0:
            raise TooManyAttempts(wait_s)
        is_refused = False
        try:
            found = await find()
            is_refused = found is None
        finally:
            if bucket is not None and not is_refused:
                bucket.give_back()
        self._note(digest, is_known=found is not None)
        return found

    @property
    def addresses(self) -> int:
        """How many addresses are remembered."""
        return len(self._buckets)

    def _note(self, digest: bytes, *, is_known: bool) -> None:
        self._known.pop(digest, None)
        if not is_known:
            self._refused.keep(digest, None)
            return
        self._known[digest] = None
        if len(self._known) > _SECRETS_MAX:
            self._known.popitem(last=False)

    def _bucket(self, address: str | None) -> TokenBucket:
        client = client_of(address or "")
        bucket = self._buckets.pop(client, None) or TokenBucket(self._rate, self._clock)
        self._buckets[client] = bucket
        if len(self._buckets) > self._addresses_max:
            self._buckets.popitem(last=False)
        return bucket


def client_of(address: str) -> str:
    """Return what one client cannot change of its address: all of IPv4, and the network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), _V6_PREFIX), strict=False))


def _seconds(wait_s: float) -> int:
    return max(1, round(wait_s + 0.5))
