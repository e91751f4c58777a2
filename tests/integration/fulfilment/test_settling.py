"""Ends that are believed later, withdrawn numbers, second purchases and late looks, with a scripted carrier."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import Capabilities, Conversation
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import NoAnswer, NotResolvable
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CalledBack,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    NotListed,
    PartlyFilled,
    Refused,
    SentAgain,
    StillOpen,
    WrittenOff,
)
from number_orders.orders.model import (
    CarrierOrderId,
    Lane,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
)
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, accept, an_order, run, work

A, B = CarrierOrderId("aaaaaaaa"), CarrierOrderId("bbbbbbbb")
E164S = [E164(f"+1919555010{digit}") for digit in range(10)]
MINUTE = timedelta(minutes=1)


def bought(*digits: int) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(E164S[digit], NumberState.ACQUIRED) for digit in digits)


@dataclass
class Scripted(Bandwidth):
    """A carrier whose answers a test gives."""

    answers: list[Event] = field(default_factory=lambda: [Acknowledged(A, "RECEIVED")])
    """To submissions, one after the other."""
    stands: dict[CarrierOrderId | None, Event] = field(default_factory=dict)
    listed: Event = field(default_factory=lambda: NotListed("orders by our reference"))
    asked: int = 0

    def __post_init__(self) -> None:
        super().__init__("9900000", "743")

    def submit(self, order: Order) -> Conversation:
        yield from ()
        return self.answers.pop(0)

    def ask(self, order: Order) -> Conversation:
        yield from ()
        self.asked += 1
        if order.carrier_order_id not in self.stands:
            raise NoAnswer("the carrier gives no answer")
        return self.stands[order.carrier_order_id]

    def look_for(self, order: Order) -> Conversation:
        yield from ()
        return self.listed


async def send(services: Services, quantity: int = 3) -> OrderId:
    """Accept an order and send it."""
    (order_id,) = await accept(services, an_order(quantity=quantity, notify={"task": "crm.notified", "queue": "crm"}))
    await work(services, Lane.SUBMIT)
    return order_id


async def look(practice: Practice, services: Services, after: timedelta = 10 * MINUTE, times: int = 1) -> None:
    """Let time pass and ask, so many times."""
    for _ in range(times):
        practice.pass_time(seconds=after.total_seconds())
        await work(services, Lane.ASK, Lane.TELL)


def states(practice: Practice, order_id: OrderId) -> dict[str, str]:
    found = practice.rows("SELECT e164, state FROM order_numbers WHERE order_id = %(id)s", id=order_id)
    return {row["e164"]: row["state"] for row in found}


def held(practice: Practice) -> list[str]:
    return [row["e164"] for row in practice.rows("SELECT e164 FROM held_numbers WHERE released_at IS NULL ORDER BY 1")]


@pytest.fixture
def lagging(practice: Practice) -> Practice:
    """A carrier whose lists lag, with the default patience."""
    practice.policy = CarrierPolicy()
    return practice


def test_numbers_that_are_listed_after_the_end_are_waited_for(lagging: Practice) -> None:
    """The carrier says COMPLETED, and its lists grow to what was ordered."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: PartlyFilled("COMPLETED", bought(0), "1 of 3")})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, MINUTE)
            carrier.stands[A] = PartlyFilled("COMPLETED", bought(0, 1), "2 of 3")
            await look(lagging, services, MINUTE, times=2)
            assert lagging.order(order_id)["state"] == "OPEN"
            carrier.stands[A] = Filled("COMPLETED", bought(0, 1, 2))
            await look(lagging, services, MINUTE)
            assert lagging.order(order_id)["state"] == "COMPLETED"
            assert held(lagging) == E164S[:3]

    run(scenario())


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (PartlyFilled("COMPLETED", bought(0), "1 of 3"), "PARTIAL"),
        (Refused("ERROR", None, "ERROR"), "FAILED"),
        (FilledWithErrors("COMPLETED", bought(0, 1), "2 of 3"), "COMPLETED_WITH_ERRORS"),
        (CalledBack("cancelled", "CANCELLED"), "CANCELLED"),
    ],
)
def test_an_end_that_falls_short_is_believed_after_the_settle_time(lagging: Practice, end: Event, state: str) -> None:
    """And after three looks; until then the order is open and says why."""

    async def scenario() -> None:
        async with lagging.opened(adapter=Scripted(stands={A: end})) as services:
            order_id = await send(services)
            await look(lagging, services, MINUTE, times=2)
            order = lagging.order(order_id)
            assert order["state"] == "OPEN"
            assert "unchanged for 120 s" in order["reason"]
            await look(lagging, services, MINUTE, times=2)
            assert lagging.order(order_id)["state"] == state

    run(scenario())


def test_a_carrier_that_was_away_for_long_is_looked_at_three_times(lagging: Practice) -> None:
    """Time alone proves nothing."""

    async def scenario() -> None:
        async with lagging.opened(adapter=Scripted(stands={A: Refused("ERROR", None, "ERROR")})) as services:
            order_id = await send(services)
            await look(lagging, services, 60 * MINUTE, times=2)
            assert lagging.order(order_id)["state"] == "OPEN"
            await look(lagging, services, 60 * MINUTE)
            assert lagging.order(order_id)["state"] == "FAILED"

    run(scenario())


def test_looks_without_an_answer_do_not_count(lagging: Practice) -> None:
    """The carrier gives no answer for hours: it has shown the same twice, not five times."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: Refused("ERROR", None, "ERROR")})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, 60 * MINUTE)
            carrier.stands.clear()
            await look(lagging, services, 60 * MINUTE, times=3)
            carrier.stands[A] = Refused("ERROR", None, "ERROR")
            await look(lagging, services, 60 * MINUTE)
            assert lagging.order(order_id)["state"] == "OPEN"
            await look(lagging, services, 60 * MINUTE)
            assert lagging.order(order_id)["state"] == "FAILED"
            assert carrier.asked == 6

    run(scenario())


def test_withdrawn_numbers_are_not_held_and_raise_an_alarm(lagging: Practice) -> None:
    """Two numbers are shown while the order is open, and cancelled with none."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("BACKORDERED", bought(0, 1))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services)
            assert held(lagging) == E164S[:2]
            carrier.stands[A] = CalledBack("cancelled", "CANCELLED")
            await look(lagging, services, times=3)
            assert lagging.order(order_id)["state"] == "CANCELLED"
            assert states(lagging, order_id) == dict.fromkeys(E164S[:2], "withdrawn")
            assert held(lagging) == []
            assert lagging.alarms() == [("numbers_withdrawn", 1)]
            assert {number["state"] for number in lagging.notifier.delivered[-1]["numbers"]} == {"withdrawn"}

    run(scenario())


def test_replaced_numbers_are_withdrawn(lagging: Practice) -> None:
    """The end shows other numbers than before, and all that were ordered."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("PROCESSING", bought(0, 1))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services)
            carrier.stands[A] = Filled("COMPLETED", bought(1, 2, 3))
            await look(lagging, services)
            assert lagging.order(order_id)["state"] == "COMPLETED"
            assert held(lagging) == E164S[1:4]
            assert states(lagging, order_id)[E164S[0]] == "withdrawn"

    run(scenario())


def test_a_number_withdrawn_from_one_order_stays_with_the_other_that_holds_it(lagging: Practice) -> None:
    """The carrier showed one order the number of another by mistake."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: Filled("COMPLETED", bought(0)), B: StillOpen("PROCESSING", bought(0))})
        carrier.answers.append(Acknowledged(B, "RECEIVED"))
        async with lagging.opened(adapter=carrier) as services:
            await send(services, quantity=1)
            await look(lagging, services)
            await accept(services, an_order("crm-2"))
            await work(services, Lane.SUBMIT)
            await look(lagging, services)
            carrier.stands[B] = Filled("COMPLETED", bought(1))
            await look(lagging, services)
            assert held(lagging) == E164S[:2]

    run(scenario())


# Several carrier orders


async def send_twice(practice: Practice, services: Services, carrier: Scripted) -> OrderId:
    """Send an order whose first answer is lost and that is listed too late, so that it is sent again as B."""
    carrier.answers = [AnswerLost("timed out"), Acknowledged(B, "RECEIVED")]
    order_id = await send(services)
    await look(practice, services, times=4)
    await work(services, Lane.SUBMIT)
    assert practice.order(order_id)["carrier_order_id"] == B
    return order_id


def test_an_order_ends_when_every_carrier_order_with_its_reference_has(lagging: Practice) -> None:
    """The one that it follows is complete first, the other buys as well."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("RECEIVED"), B: Filled("COMPLETED", bought(3, 4, 5))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send_twice(lagging, services, carrier)
            carrier.listed = FoundTwice((A, B))
            await look(lagging, services, times=3)
            assert lagging.order(order_id)["state"] == "OPEN"
            assert held(lagging) == E164S[3:6]
            assert lagging.story(order_id).count("StillOpen") == 1
            carrier.stands[A] = Filled("COMPLETED", bought(0, 1, 2))
            await look(lagging, services)
            assert lagging.order(order_id)["state"] == "COMPLETED_WITH_ERRORS"
            assert held(lagging) == E164S[:6]
            assert ("bought_twice", 1) in lagging.alarms()

    run(scenario())


def test_an_order_follows_the_carrier_order_that_lives(lagging: Practice) -> None:
    """The second submission was refused because the first had arrived."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: Filled("COMPLETED", bought(0, 1, 2)), B: Refused("taken", "5005", "FAILED")})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send_twice(lagging, services, carrier)
            carrier.listed = FoundTwice((A, B))
            await look(lagging, services, times=5)
            order = lagging.order(order_id)
            assert (order["state"], order["carrier_order_id"]) == ("COMPLETED", A)
            assert "bought_twice" not in dict(lagging.alarms())

    run(scenario())


def test_a_second_purchase_that_is_listed_much_later_is_found_out(lagging: Practice) -> None:
    """A day after the end: the numbers are in the order, the producer knows, an alarm is raised. The end stays."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: Filled("COMPLETED", bought(0, 1, 2)), B: Filled("COMPLETED", bought(3, 4, 5))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send_twice(lagging, services, carrier)
            await look(lagging, services)
            assert (lagging.order(order_id)["state"], lagging.alarms()) == ("COMPLETED", [])
            carrier.listed = FoundTwice((A, B))
            await look(lagging, services, timedelta(hours=23))
            assert held(lagging) == E164S[3:6]
            await look(lagging, services, timedelta(hours=2))
            assert lagging.order(order_id)["state"] == "COMPLETED"
            assert held(lagging) == E164S[:6]
            assert lagging.alarms() == [("bought_twice", 1)]
            assert len(lagging.notifier.delivered[-1]["numbers"]) == 6
            assert lagging.rows("SELECT lane FROM owed") == []

    run(scenario())


def test_a_late_look_can_be_made_now(lagging: Practice) -> None:
    """By `retry --lane ask`. A retry of everything leaves it for its day."""

    async def scenario() -> None:
        carrier = Scripted(stands={B: Filled("COMPLETED", bought(3, 4, 5))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send_twice(lagging, services, carrier)
            await look(lagging, services)
            asked = carrier.asked
            (left,) = await services.orders.retry([order_id], by="ana", why=None)
            assert left.refusal == "it is over; `--lane ask` makes its late look now"
            async for outcomes in services.orders.retry_all(BANDWIDTH, by="ana", why=None):
                assert not outcomes
            (made,) = await services.orders.retry([order_id], by="ana", why="the bill", lane=Lane.ASK)
            assert made.lanes == (Lane.ASK,)
            await work(services, Lane.ASK)
            assert carrier.asked == asked + 1
            assert lagging.story(order_id)[-2:] == ["Hurried", "LookedAgain"]
            assert lagging.alarms() == []

    run(scenario())


def test_an_order_closed_by_hand_is_looked_at_until_the_carrier_has_ended_it(lagging: Practice) -> None:
    """A backorder buys after the person wrote it off. Its story has a line for each look."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("BACKORDERED", slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services)
            await services.orders.park(order_id, by="ana", why="too slow")
            await services.orders.resolve(order_id, WrittenOff("ana", "not wanted"))
            await look(lagging, services, timedelta(hours=25), times=3)
            assert lagging.order(order_id)["state"] == "FAILED"
            assert lagging.story(order_id)[-4:] == ["WrittenOff", "LookedAgain", "LookedAgain", "LookedAgain"]
            carrier.stands[A] = Filled("COMPLETED", bought(0, 1, 2))
            await look(lagging, services, timedelta(hours=25), times=2)
            assert held(lagging) == E164S[:3]
            assert lagging.alarms() == [("bought_twice", 1)]
            assert lagging.rows("SELECT lane FROM owed") == []

    run(scenario())


@pytest.mark.parametrize("end", [FilledWithErrors("COMPLETED", (), "no numbers"), PartlyFilled("PARTIAL", (), "none")])
def test_an_order_is_not_sent_again_while_its_status_promises_numbers(lagging: Practice, end: Event) -> None:
    """The list shows none yet."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: end})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await services.orders.park(order_id, by="ana", why="too slow")
            lagging.pass_time(hours=1)
            with pytest.raises(NotResolvable, match="cannot be sent again: bandwidth has aaaaaaaa"):
                await services.orders.resolve(order_id, SentAgain("ana", "nothing there"))

    run(scenario())


def test_a_late_look_does_not_claim_a_number_that_came_and_went(lagging: Practice) -> None:
    """It is on the account again since another order brought it."""

    async def scenario() -> None:
        gone = NumberResult(E164S[0], NumberState.RELEASED, None, "it came, and is not on the account any more")
        carrier = Scripted(stands={B: FilledWithErrors("COMPLETED", (gone, *bought(1, 2)), "1 is gone")})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send_twice(lagging, services, carrier)
            await look(lagging, services, times=3)
            carrier.stands[B] = Filled("COMPLETED", bought(0, 1, 2))
            await look(lagging, services, timedelta(hours=25))
            assert lagging.story(order_id)[-1] == "LookedAgain"
            assert held(lagging) == E164S[1:3]
            assert "bought_twice" not in dict(lagging.alarms())

    run(scenario())


def test_reminders_do_not_put_off_an_end_that_falls_short(lagging: Practice) -> None:
    """Somebody wants it asked about once a minute. They do not shorten its time either."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: PartlyFilled("COMPLETED", bought(0), "1 of 3")})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            seen = []
            for _ in range(5):
                await services.orders.retry([order_id], by="cron", why=None)
                await look(lagging, services, MINUTE)
                seen.append(lagging.order(order_id)["state"])
            assert seen[:2] == ["OPEN", "OPEN"]
            assert seen[-1] == "PARTIAL"

    run(scenario())


async def close_with_one_number(lagging: Practice, services: Services) -> OrderId:
    """Park an order that has one number so far, and close it by hand."""
    order_id = await send(services)
    await look(lagging, services)
    await services.orders.park(order_id, by="ana", why="too slow")
    await services.orders.resolve(order_id, WrittenOff("ana", "not wanted"))
    assert (lagging.order(order_id)["state"], held(lagging)) == ("PARTIAL", E164S[:1])
    return order_id


def test_a_late_look_withdraws_what_the_carrier_withdrew_after_the_order_was_closed(lagging: Practice) -> None:
    """It is believed like any end that falls short: after three looks. The producer and a person are told."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("BACKORDERED", bought(0), slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await close_with_one_number(lagging, services)
            carrier.stands[A] = Refused("no stock", None, "FAILED")
            await look(lagging, services, timedelta(hours=25))
            await look(lagging, services)
            assert (held(lagging), lagging.alarms()) == (E164S[:1], [])
            await look(lagging, services)
            assert (held(lagging), lagging.alarms()) == ([], [("numbers_withdrawn", 1)])
            assert states(lagging, order_id) == {E164S[0]: "withdrawn"}
            order = lagging.order(order_id)
            assert order["state"] == "PARTIAL"
            assert order["reason"].endswith(f"late look: the carrier has withdrawn {E164S[0]}")
            assert lagging.notifier.delivered[-1]["numbers"][0]["state"] == "withdrawn"

    run(scenario())


@pytest.mark.parametrize(
    "shown", [StillOpen("BACKORDERED", slow=True), PartlyFilled("PARTIAL", bought(0), "1 of 3"), None]
)
def test_a_late_look_withdraws_nothing_before_the_carriers_end_says_so(lagging: Practice, shown: Event | None) -> None:
    """It is still open, or shows the number, or gives no answer."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("BACKORDERED", bought(0), slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            await close_with_one_number(lagging, services)
            carrier.stands = {A: shown} if shown else {}
            await look(lagging, services, timedelta(hours=25), times=4)
            assert (held(lagging), lagging.alarms()) == (E164S[:1], [])

    run(scenario())


class LooksIntoTheAccount(Scripted):
    """A carrier like Swift: the numbers of an order are those that are on the account now."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, shows_numbers=False)


def test_a_late_look_withdraws_nothing_where_the_carrier_does_not_say_what_it_brought(lagging: Practice) -> None:
    """The number may have been removed by hand since."""

    async def scenario() -> None:
        carrier = LooksIntoTheAccount(stands={A: StillOpen("BACKORDERED", bought(0), slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await close_with_one_number(lagging, services)
            carrier.stands[A] = Refused("no stock", None, "FAILED")
            await look(lagging, services, timedelta(hours=25), times=4)
            assert lagging.story(order_id)[-1] == "LookedAgain"
            assert (held(lagging), lagging.alarms()) == (E164S[:1], [])

    run(scenario())


def test_a_late_look_leaves_a_number_that_a_removal_of_ours_has_released(lagging: Practice) -> None:
    """It was there, and its removal is known: nothing was withdrawn."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("BACKORDERED", bought(0), slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await close_with_one_number(lagging, services)
            gone = (NumberResult(E164S[0], NumberState.RELEASED),)
            carrier.answers = [Filled("COMPLETE", gone)]
            removal = {"kind": "remove_numbers", "criteria": None, "quantity": None, "numbers": [E164S[0]]}
            await accept(services, an_order("gone", **removal))
            await work(services, Lane.SUBMIT)
            assert held(lagging) == []
            carrier.stands[A] = Refused("no stock", None, "FAILED")
            await look(lagging, services, timedelta(hours=25), times=4)
            assert lagging.story(order_id)[-1] == "LookedAgain"
            assert (states(lagging, order_id)[E164S[0]], lagging.alarms()) == ("acquired", [])

    run(scenario())


class TellsByTime(Scripted):
    """A carrier like Swift: only time tells the numbers of an order from those of others."""

    def serial_keys(self, request: OrderRequest) -> tuple[str, ...]:
        return ("numbers of the account",)


def test_a_late_look_claims_no_more_than_were_ordered_where_only_time_tells(lagging: Practice) -> None:
    """The order gave its serial lock back when it was closed, so the numbers that came last are another's."""

    async def scenario() -> None:
        carrier = TellsByTime(stands={A: StillOpen("BACKORDERED", slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services, quantity=2)
            await look(lagging, services)
            await services.orders.park(order_id, by="ana", why="too slow")
            await services.orders.resolve(order_id, WrittenOff("ana", "not wanted"))
            carrier.stands[A] = Filled("COMPLETED", bought(0, 1, 2))
            await look(lagging, services, timedelta(hours=25), times=2)
            assert held(lagging) == E164S[:2]

    run(scenario())


def test_a_second_purchase_is_found_out_where_only_time_tells(lagging: Practice) -> None:
    """The order that ours follows has brought all that was ordered. What the other has brought comes on top."""

    async def scenario() -> None:
        carrier = TellsByTime(stands={A: Filled("COMPLETED", bought(0, 1, 2)), B: Filled("COMPLETED", bought(3, 4, 5))})
        async with lagging.opened(adapter=carrier) as services:
            await send_twice(lagging, services, carrier)
            await look(lagging, services)
            carrier.listed = FoundTwice((A, B))
            await look(lagging, services, timedelta(hours=25), times=2)
            assert held(lagging) == E164S[:6]
            assert lagging.alarms() == [("bought_twice", 1)]

    run(scenario())


def test_a_late_answer_about_the_former_carrier_order_moves_nothing(lagging: Practice) -> None:
    """Two questions at once: the newer has moved the order to another carrier order, the older brings the refusal."""

    async def scenario() -> None:
        carrier = Scripted(stands={})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            before = (await services.ledger.orders.read([order_id]))[order_id]
            now = await services.ledger.now()
            recorder = Recorder(services.ledger, {BANDWIDTH: lagging.policy})
            await recorder.hear([Heard(before, Acknowledged(B, None, instead_of=A), about=A)], now=now)
            await recorder.hear([Heard(before, Refused("taken", "5005", "FAILED"), about=A)], now=now)
            assert lagging.order(order_id)["state"] == "OPEN"
            await recorder.hear([Heard(before, Filled("COMPLETE", bought(0, 1, 2)), about=A)], now=now)
            assert lagging.order(order_id)["state"] == "OPEN"
            assert lagging.alarms() == [("bought_twice", 1)]

    run(scenario())


# Texts and statuses


def test_a_status_with_a_nul_is_stored_and_raises_its_alarm(lagging: Practice) -> None:
    """And it is new only once."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("REC\0EIVED", detail="de\0tail", unheard_of=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, times=3)
            assert lagging.order(order_id)["carrier_status"] == "REC\ufffdEIVED"
            assert lagging.story(order_id).count("StillOpen") == 1
            assert lagging.alarms()[0] == (Alarm.STATUS_NEVER_HEARD_OF, 3)

    run(scenario())


def test_a_persons_nul_is_stored(lagging: Practice) -> None:
    """And half a surrogate pair."""

    async def scenario() -> None:
        async with lagging.opened(adapter=Scripted()) as services:
            order_id = await send(services)
            order = await services.orders.park(order_id, by="a\0na", why="half a pair: \ud83d")
            assert (order.state, lagging.order(order_id)["reason"]) == ("PARKED", "a\ufffdna: half a pair: ?")

    run(scenario())


def test_a_status_that_flips_is_asked_about_ever_more_slowly_and_becomes_overdue(lagging: Practice) -> None:
    """It is asked about as rarely as one that stands still."""

    async def scenario() -> None:
        carrier = Scripted()
        async with lagging.opened(adapter=carrier) as services:
            await send(services)
            for look_number in range(60):
                carrier.stands[A] = StillOpen(("RECEIVED", "PROCESSING")[look_number % 2])
                await look(lagging, services)
            assert lagging.rows("SELECT not_before > now() + '4 min' AS late FROM owed") == [{"late": True}]
            assert "overdue" in dict(lagging.alarms())

    run(scenario())
