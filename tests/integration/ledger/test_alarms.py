"""Alarms are counted, cleared, and deleted when their cause is gone."""

from datetime import timedelta

from number_orders.ledger.ledger import Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import Order, State
from tests.integration.ledger.examples import HOUR, a_request, accept_order
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness


def test_repeated_alarm_is_one_row_with_a_count(harness: LedgerHarness) -> None:
    """The same matter again is the same alarm, raised twice."""

    async def work(ledger: Ledger) -> None:
        assert await ledger.alarms.raise_alarm("status_never_heard_of", "bandwidth:PONDERING") == 1
        assert await ledger.alarms.raise_alarm("status_never_heard_of", "bandwidth:PONDERING", detail="again") == 2
        (alarm,) = await ledger.alarms.active()
        assert (alarm["times"], alarm["detail"]) == (2, "again")

    harness.run(work)


def test_alarm_is_cleared_as_somebody_has_seen_it(harness: LedgerHarness) -> None:
    """One that has happened again since stays active. Who cleared it last is kept."""

    async def work(ledger: Ledger) -> None:
        await ledger.alarms.raise_alarm("bought_twice", "crm-7")
        (seen,) = await ledger.alarms.active()
        assert seen["cleared_by"] is None
        await ledger.alarms.raise_alarm("bought_twice", "crm-7")
        assert await ledger.alarms.clear([seen["alarm_id"]], by="ana", times=seen["times"]) == []
        (cleared,) = await ledger.alarms.clear([seen["alarm_id"]], by="ana", times=2)
        assert cleared["cleared_by"] == "ana"
        assert [dict(each) for each in await ledger.alarms.cleared(HOUR, 5)] == [dict(cleared)]
        assert await ledger.alarms.read(seen["alarm_id"]) == cleared
        assert await ledger.alarms.read(seen["alarm_id"] + 1) is None
        await ledger.alarms.raise_alarm("bought_twice", "crm-7")
        (again,) = await ledger.alarms.active()
        assert (again["times"], again["cleared_by"]) == (3, "ana")
        assert await ledger.alarms.cleared(HOUR, 5) == []

    harness.run(work)


def test_persisting_condition_is_one_alarm_counted_once_in_a_while(harness: LedgerHarness) -> None:
    """A cleared alarm is active again after that time, or at once if it is about another order."""

    async def work(ledger: Ledger) -> None:
        one, two = await accept_order(ledger, a_request("one")), await accept_order(ledger, a_request("two"))

        async def note(order: Order = one, *, detail: str, after: timedelta = HOUR) -> int:
            return await ledger.alarms.note_alarm(
                Alarm.TURN_HELD, "s", carrier=BANDWIDTH, order_id=order.order_id, detail=detail, again_after=after
            )

        assert await note(detail="1 waits") == 1
        assert await note(detail="2 wait") == 1
        (alarm,) = await ledger.alarms.active()
        assert (alarm["detail"], alarm["order_id"], alarm["times"]) == ("2 wait", one.order_id, 1)
        await ledger.alarms.clear(by="ana")
        assert await note(detail="3 wait") == 1
        assert await ledger.alarms.active() == []
        assert await note(detail="3 wait", after=timedelta(microseconds=-1)) == 2
        assert await note(two, detail="other") == 3
        (alarm,) = await ledger.alarms.active()
        assert (alarm["order_id"], alarm["times"]) == (two.order_id, 3)

    harness.run(work)


def test_alarm_whose_cause_is_gone_is_deleted(harness: LedgerHarness) -> None:
    """Only alarms of this sort at this carrier; those to keep and all others stay."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        for subject in ("still", "over"):
            await ledger.alarms.raise_alarm(Alarm.TURN_HELD, subject, carrier=BANDWIDTH)
        await ledger.alarms.raise_alarm(Alarm.OVERDUE, "over", carrier=BANDWIDTH)
        await ledger.alarms.raise_alarm(Alarm.TURN_HELD, "elsewhere", carrier="cm")
        await ledger.alarms.raise_alarm(Alarm.WAITS_FOR_PARKED, "x", carrier=BANDWIDTH, order_id=order.order_id)

        async def standing() -> set[tuple[str, str]]:
            return {(alarm["what"], alarm["subject"]) for alarm in await ledger.alarms.active()}

        await ledger.alarms.drop_alarms(Alarm.TURN_HELD, carrier=BANDWIDTH, keep=["still"])
        await ledger.alarms.drop_alarms_unless(Alarm.WAITS_FOR_PARKED, State.ACCEPTED)
        left = {("turn_held", "still"), ("overdue", "over"), ("turn_held", "elsewhere")}
        assert await standing() == left | {("waits_for_parked", "x")}
        await ledger.alarms.drop_alarms_unless(Alarm.WAITS_FOR_PARKED, State.PARKED)
        assert await standing() == left

    harness.run(work)
