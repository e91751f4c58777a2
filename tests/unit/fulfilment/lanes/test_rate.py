"""No request leaves before its rate slot or much after it, however well the ledger's clock is known."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from number_orders.carriers.contract import ONE_LIMIT_GROUP
from number_orders.carriers.http.transport import SendGuard, TransportError
from number_orders.fulfilment.lanes.rate import LATE_MAX_S, TRANSIT_SPREAD_S, LedgerClock, Pace, limit
from number_orders.ledger.limits import RateSlot
from number_orders.orders.errors import NoAnswer
from number_orders.orders.model import CarrierName

NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
AT_NOON_S = 1000.0
"""What this process's clock says when the ledger's says noon."""


def seconds(count: float) -> datetime:
    return NOON + timedelta(seconds=count)


def a_clock(*samples: tuple[float, float]) -> LedgerClock:
    """Return a clock that has learnt the time from exchanges which took so long before and after the reading."""
    clock = LedgerClock()
    for before, after in samples:
        clock.learn(NOON, asked_at=AT_NOON_S - before, heard_at=AT_NOON_S + after)
    return clock


@dataclass
class OneLimit:
    """A ledger with one limit group, which always gives the same rate slot."""

    slot: RateSlot | None
    taken: list[str] = field(default_factory=list)

    async def take_rate_slot(self, carrier: CarrierName, group: str) -> RateSlot | None:
        self.taken.append(group)
        return self.slot


def a_pace(ledger: OneLimit, *, slot: datetime | None = None, deadline: float = AT_NOON_S + 30) -> Pace:
    return Pace(
        slots=ledger,
        carrier=CarrierName("bandwidth"),
        group="ORDER",
        ledger_clock=a_clock((0.001, 0.001)),
        clock=lambda: AT_NOON_S,
        deadline=deadline,
        slot=slot,
    )


@pytest.mark.parametrize("per_second", [0.5, 1.0, 20.0, 50.0])
def test_no_second_has_more_arrivals_than_the_rate_allows(per_second: float) -> None:
    """The worst case: late departures with long travel times first, then prompt ones."""
    spacing = limit("ORDER", per_second).spacing
    assert spacing is not None
    slots = [k * spacing.total_seconds() for k in range(round(3 * per_second) + 3)]
    late = LATE_MAX_S + TRANSIT_SPREAD_S
    for last_late in range(len(slots)):
        arrivals = sorted(at + (late if k <= last_late else 0) for k, at in enumerate(slots))
        most = max(sum(begin < at <= begin + 1 - 1e-9 for at in arrivals) for begin in [-1.0, *arrivals])
        assert most <= max(1, per_second)


def test_spacing_leaves_a_margin_for_late_departures() -> None:
    """Requests may leave a moment after their slots, so the slots lie a little further apart than the rate says."""
    spacing = limit(ONE_LIMIT_GROUP, 100.0).spacing
    assert spacing is not None
    assert timedelta(milliseconds=10) < spacing < timedelta(milliseconds=11)


def test_nine_tenths_of_a_rate_can_be_used() -> None:
    spacing = limit("ORDER", 20.0).spacing
    assert spacing is not None
    assert 1 / spacing.total_seconds() > 0.9 * 20


@pytest.mark.parametrize(("before", "after"), [(0.001, 0.001), (0.03, 0.001), (0.001, 0.03), (0.0, 0.0)])
def test_slot_never_opens_early_and_never_closes_too_late(before: float, after: float) -> None:
    """The ledger read noon at some unknown moment of the exchange: both ends are on the safe side."""
    clock = a_clock((before, after))
    assert clock.opens(seconds(1)) >= AT_NOON_S + 1
    assert clock.closes(seconds(1)) <= max(AT_NOON_S + 1 + LATE_MAX_S, clock.opens(seconds(1)) + LATE_MAX_S / 2)
    assert clock.closes(seconds(1)) > clock.opens(seconds(1))


def test_slot_that_comes_with_a_very_late_answer_is_missed() -> None:
    """The worker was stopped for half a minute and knows no earlier time, so the slot is long over."""
    clock = a_clock((0.001, 30.0))
    assert clock.closes(seconds(1)) < clock.opens(seconds(1))


def test_slow_exchange_after_a_quick_one_keeps_the_bounds() -> None:
    """The worker stalled during the exchange: what it knew of the clock before is still true."""
    clock = a_clock((0.001, 0.001), (0.5, 3.0))
    assert clock.opens(seconds(1)) == pytest.approx(AT_NOON_S + 1.001, abs=0.003)
    assert clock.closes(seconds(1)) == pytest.approx(AT_NOON_S + 1 + LATE_MAX_S - 0.001, abs=0.003)


def test_clock_that_was_set_is_learnt_again() -> None:
    """The clock of the ledger's machine was corrected by an hour: the new reading counts."""
    clock = a_clock((0.001, 0.001))
    clock.learn(NOON + timedelta(hours=1), asked_at=AT_NOON_S + 1, heard_at=AT_NOON_S + 1.002)
    assert clock.opens(NOON + timedelta(hours=1)) == pytest.approx(AT_NOON_S + 1.002)


def test_request_that_missed_its_slot_does_not_leave() -> None:
    """It may leave until the end of its slot. After that nothing leaves, and the error says why."""
    now = iter([1.0, 2.0])
    in_time, late = (SendGuard(lambda: next(now), 10.0, once=True, slot_ends_at=1.5) for _ in range(2))
    in_time.begin_sending()
    assert in_time.sent
    with pytest.raises(TransportError, match=r"its slot .* had ended"):
        late.begin_sending()
    assert (late.sent, late.slot_missed) == (False, True)


def test_first_slot_comes_with_the_claim_and_every_other_is_taken() -> None:
    """Every request has a slot of its own."""

    async def work() -> None:
        ledger = OneLimit(RateSlot(seconds(0), NOON, None))
        pace = a_pace(ledger, slot=seconds(-0.01))
        await pace.wait()
        assert ledger.taken == []
        await pace.wait()
        assert ledger.taken == ["ORDER"]

    asyncio.run(work())


@pytest.mark.parametrize(
    ("slot", "reason", "until"),
    [
        (RateSlot(seconds(60), NOON, None), "has no rate slot left in time", seconds(60)),
        (RateSlot(seconds(0), NOON, seconds(90)), "wants no ORDER requests now", seconds(90)),
    ],
)
def test_conversation_without_a_slot_in_time_is_postponed(slot: RateSlot, reason: str, until: Any) -> None:
    async def work() -> None:
        with pytest.raises(NoAnswer, match=reason) as postponed:
            await a_pace(OneLimit(slot)).wait()
        assert postponed.value.not_before == until

    asyncio.run(work())


def test_group_without_a_rate_makes_no_request_wait() -> None:
    async def work() -> None:
        assert await a_pace(OneLimit(None)).wait() == float("inf")

    asyncio.run(work())
