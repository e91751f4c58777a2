"""Every adapter brings its orders to the end that the carrier really made, number by number."""

from number_orders.orders.events import Acknowledged, CalledBack, Refused, StillOpen
from number_orders.orders.model import NumberState, State
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.case import OUTCOMES, Case, Fate, Offer
from tests.contract.adapters.errand import STEP, counter, run
from tests.contract.adapters.every import every_case, every_offer


@every_offer(Fate.FULL, Fate.PARTIAL, Fate.FAILED)
def test_the_end_is_the_one_that_the_carrier_made(
    control: SandboxControl, case: Case, offer: Offer, fate: Fate
) -> None:
    async def ended() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[fate])
            await errand.to_the_end()
            assert errand.order.state is offer.end_of(fate), errand.order
            assert errand.theirs()[0]["outcome"] == OUTCOMES[fate]
            assert errand.untrue() == []
            assert errand.commits == 1

    run(ended())


@every_offer(Fate.FULL)
def test_an_order_is_acknowledged_by_its_true_name_and_open_until_it_ends(
    control: SandboxControl, case: Case, offer: Offer, fate: Fate
) -> None:
    async def acknowledged() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[fate])
            event = await errand.send()
            assert isinstance(event, Acknowledged)
            assert event.carrier_order_id == errand.theirs()[0]["order_id"]
            assert isinstance(await errand.ask(), StillOpen)
            assert errand.having(*set(NumberState) - {NumberState.REQUESTED}) == ()

    run(acknowledged())


@every_offer(Fate.STRANGE)
def test_a_status_never_heard_of_is_open_and_no_end(
    control: SandboxControl, case: Case, offer: Offer, fate: Fate
) -> None:
    async def strange() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[fate])
            await errand.send()
            open_counter.pass_time(STEP)
            event = await errand.ask()
            assert isinstance(event, StillOpen)
            assert event.unheard_of
            assert event.carrier_status == control.behaviour()["strange_word"]
            await errand.to_the_end()
            assert errand.order.state is offer.end_of(fate)
            assert errand.untrue() == []

    run(strange())


@every_offer(Fate.ENDLESS)
def test_an_order_that_never_ends_is_asked_about_for_ever(
    control: SandboxControl, case: Case, offer: Offer, fate: Fate
) -> None:
    async def endless() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[fate])
            await errand.send()
            for _ in range(5):
                open_counter.pass_time(10 * STEP)
                assert isinstance(await errand.ask(), StillOpen)

    run(endless())


@every_offer(Fate.ENDLESS)
def test_an_order_is_called_back_where_that_is_declared_and_nowhere_else(
    control: SandboxControl, case: Case, offer: Offer, fate: Fate
) -> None:
    async def called_back() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[fate])
            await errand.send()
            open_counter.pass_time(STEP)
            sent = len(errand.said)
            errand.call_back()
            event = await errand.ask()
            if offer.kind in open_counter.adapter.capabilities.cancellable:
                assert isinstance(event, CalledBack)
                assert errand.order.state is State.CANCELLED
                assert errand.theirs()[0]["ended_at"]
                assert errand.untrue() == []
            else:
                assert isinstance(event, StillOpen)
                assert {one.method for one in errand.said[sent:]} == {"GET"}

    run(called_back())


@every_offer(Fate.FULL)
def test_an_order_that_was_called_back_too_late_ends_as_it_did(
    control: SandboxControl, case: Case, offer: Offer, fate: Fate
) -> None:
    async def too_late() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[fate])
            await errand.send()
            open_counter.pass_time(10 * STEP)
            errand.call_back()
            await errand.to_the_end()
            assert errand.order.state is offer.end_of(fate)
            assert errand.untrue() == []

    run(too_late())


@every_case
def test_what_the_carrier_refuses_at_its_door_has_failed_with_its_reason(control: SandboxControl, case: Case) -> None:
    async def refused() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(case.refused)
            event = await errand.send()
            assert isinstance(event, Refused)
            assert event.reason
            assert errand.order.state is State.FAILED
            assert errand.theirs() == []

    run(refused())
