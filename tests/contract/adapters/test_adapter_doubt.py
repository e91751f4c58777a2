"""Whatever becomes of the answer to the request that costs money, every adapter finds out what happened, by asking."""

from typing import Any, Final

import pytest

from number_orders.orders.events import Acknowledged, AnswerLost, NotListed, NotSent
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.case import Case, Fate, Offer
from tests.contract.adapters.errand import Counter, Errand, counter, run
from tests.contract.adapters.every import every_offer
from workers.clock import utc_now

PROCESSED: Final[dict[str, dict[str, Any]]] = {
    "dropped": {"fault": "drop_after"},
    "503": {"fault": "error_after"},
    "500": {"fault": "error_after", "status": 500},
    "302": {"fault": "error_after", "status": 302},
    "408": {"fault": "error_after", "status": 408},
    "gateway_page": {"fault": "html"},
    "page_as_200": {"fault": "html", "status": 200},
    "garbage": {"fault": "garbage"},
    "garbage_as_400": {"fault": "garbage", "status": 400},
    "empty": {"fault": "empty"},
}
NOT_PROCESSED: Final[dict[str, dict[str, Any]]] = {
    "dropped": {"fault": "drop_before"},
    "500": {"fault": "error_before", "status": 500},
    "gateway_page": {"fault": "html", "processed": False},
    "garbage": {"fault": "garbage", "processed": False},
}

how_it_is_lost = pytest.mark.parametrize("fault", PROCESSED.values(), ids=PROCESSED)
how_it_never_arrives = pytest.mark.parametrize("fault", NOT_PROCESSED.values(), ids=NOT_PROCESSED)


async def spoilt(open_counter: Counter, offer: Offer, fault: dict[str, Any]) -> Errand:
    """Send an order whose answer is spoilt."""
    errand = await open_counter.begin(offer.wishes[Fate.FULL])
    method, path = offer.commit
    open_counter.control.fault(**fault, times=1, method=method, path=path, carrier=open_counter.case.entry.name)
    event = await errand.send()
    assert isinstance(event, AnswerLost), event
    assert errand.order.state is State.IN_DOUBT
    return errand


@how_it_is_lost
@every_offer()
def test_what_arrived_is_found_and_never_sent_again(
    control: SandboxControl, case: Case, offer: Offer, fault: dict[str, Any]
) -> None:
    async def lost() -> None:
        async with counter(case, control) as open_counter:
            assert open_counter.adapter.capabilities.found_by_reference
            errand = await spoilt(open_counter, offer, fault)
            event = await errand.look()
            assert isinstance(event, Acknowledged)
            assert event.carrier_order_id == errand.theirs()[0]["order_id"]
            await errand.to_the_end()
            assert errand.order.state is offer.end_of(Fate.FULL)
            assert errand.untrue() == []
            assert errand.commits == 1

    run(lost())


@how_it_never_arrives
@every_offer()
def test_what_never_arrived_is_proven_absent_before_anything_is_sent_again(
    control: SandboxControl, case: Case, offer: Offer, fault: dict[str, Any]
) -> None:
    async def never_arrived() -> None:
        async with counter(case, control) as open_counter:
            errand = await spoilt(open_counter, offer, fault)
            assert errand.theirs() == []
            event = await errand.look()
            assert isinstance(event, NotListed)
            at_first = errand.order.state
            assert at_first is State.IN_DOUBT
            await errand.to_the_end()
            if open_counter.policy.resend_when_absent and event.resend:
                assert errand.order.state is offer.end_of(Fate.FULL)
                assert errand.untrue() == []
                assert errand.commits == 2
            else:
                assert errand.order.state is State.PARKED
                assert errand.theirs() == []
                assert errand.commits == 1

    run(never_arrived())


@every_offer()
def test_a_limit_at_the_door_leaves_nothing_behind_and_says_when_to_come_back(
    control: SandboxControl, case: Case, offer: Offer
) -> None:
    async def limited() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[Fate.FULL])
            method, path = offer.commit
            limit = {"method": method, "path": path, "carrier": case.entry.name}
            control.fault("too_many_requests", delay_s=300, times=1, **limit)
            event = await errand.send()
            assert isinstance(event, NotSent)
            assert event.not_before is not None
            assert event.not_before > utc_now()  # limits go by the machine's clock, at the sandbox too
            assert errand.order.state is State.ACCEPTED
            assert errand.theirs() == []
            await errand.to_the_end()
            assert errand.untrue() == []

    run(limited())


BEFORE: Final[dict[str, dict[str, Any]]] = {
    **{how: PROCESSED[how] for how in ("dropped", "503", "gateway_page", "garbage")},
    "garbage_and_nothing_done": NOT_PROCESSED["garbage"],
    "limit": {"fault": "too_many_requests", "delay_s": 1},
}


@pytest.mark.parametrize("fault", BEFORE.values(), ids=BEFORE)
@every_offer(prepared=True)
def test_what_comes_before_the_money_may_fail_and_costs_nothing(
    control: SandboxControl, case: Case, offer: Offer, fault: dict[str, Any]
) -> None:
    async def failed_before() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[Fate.FULL])
            for method, path in offer.prepares:
                # Twice, for the wire asks a question again by itself that was dropped.
                control.fault(**fault, times=2, method=method, path=path, carrier=case.entry.name)
            assert isinstance(await errand.send(), NotSent)
            assert errand.theirs() == []
            await errand.to_the_end()
            assert errand.order.state is offer.end_of(Fate.FULL)
            assert errand.untrue() == []
            assert not errand.order.losses

    run(failed_before())
