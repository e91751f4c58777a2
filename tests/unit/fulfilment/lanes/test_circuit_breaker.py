"""What a lane run reports of a carrier: one failed fetch of a token is one fault, and no probe is kept for nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from number_orders.carriers.contract import Purpose
from number_orders.carriers.http.courier import Exchange
from number_orders.carriers.http.credentials import NoToken
from number_orders.fulfilment.carrier import ConversationResult
from number_orders.fulfilment.lanes.circuit_breaker import CircuitBreaker
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.schedule import Claims
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import NoAnswer
from number_orders.orders.model import CarrierName, Lane

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BANDWIDTH = CarrierName("bandwidth")


@dataclass
class Store:
    """Keeps what is reported. `held_until` is what the breaker answers."""

    held_until: datetime | None = None
    counted: list[tuple[int, int]] = field(default_factory=list)
    """Tokens and faults of each report."""
    reset_by: list[UUID] = field(default_factory=list)
    returned: list[UUID] = field(default_factory=list)
    alarms: list[tuple[Alarm, str]] = field(default_factory=list)

    async def count_faults(
        self, carrier: CarrierName, tokens: Sequence[UUID], *, faults: int, why: str, breaker_policy: BreakerPolicy
    ) -> datetime | None:
        self.counted.append((len(tokens), faults))
        return self.held_until

    async def reset(self, carrier: CarrierName, tokens: Sequence[UUID]) -> None:
        self.reset_by += tokens

    async def return_probe(self, claims: Claims, carrier: CarrierName) -> None:
        self.returned.append(claims.token)

    async def raise_alarm(self, what: str, subject: str, **more: Any) -> int:
        self.alarms.append((Alarm(what), more["detail"]))
        return 1

    async def note_alarm(self, what: str, subject: str, **more: Any) -> int:
        raise AssertionError


def claims(*, recovering: bool = False) -> Claims:
    return Claims(Lane.ASK, NOON, uuid4(), (), NOON, recovering=recovering)


def without_token(*, refused: bool = False, shared: bool = False) -> ConversationResult:
    error = NoToken("no token: HTTP 500 (token endpoint /t)", not_before=None, refused=refused, shared=shared)
    exchange = Exchange(
        "-", "credentials", Purpose.READ, b"", None, b"", timedelta(), error.reason, out_of_reach=True, no_token=error
    )
    return ConversationResult(None, NoAnswer(error.reason), [exchange])


def report(store: Store, *results: tuple[Claims, ConversationResult]) -> Store:
    asyncio.run(CircuitBreaker(store, store).report(BANDWIDTH, results))
    return store


def test_a_failed_fetch_is_one_fault_however_many_wait_for_it() -> None:
    results = [(claims(), without_token(shared=number > 0)) for number in range(20)]

    assert report(Store(), *results).counted == [(20, 1)]
    assert report(Store(), *results[1:]).counted == []


def test_a_probe_that_shares_a_failure_tells_how_it_went() -> None:
    store = report(Store(NOON + timedelta(seconds=5)), (claims(recovering=True), without_token(shared=True)))

    assert store.counted == [(1, 0)]
    assert store.alarms == [(Alarm.TOKEN_REFUSED, "no token: HTTP 500 (token endpoint /t)")]


@pytest.mark.parametrize(
    ("refused", "held", "raised"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_a_refused_client_and_an_endpoint_that_stays_away_raise_an_alarm(
    *, refused: bool, held: bool, raised: bool
) -> None:
    until = NOON + timedelta(seconds=5) if held else None

    store = report(Store(until), (claims(), without_token(refused=refused)))

    assert [what for what, _ in store.alarms] == [Alarm.TOKEN_REFUSED] * raised


def test_a_probe_that_asked_nothing_is_returned() -> None:
    probe = claims(recovering=True)

    store = report(Store(), (probe, ConversationResult(None, NoAnswer("its time was over"), [])))

    assert (store.returned, store.counted, store.reset_by) == ([probe.token], [], [])
