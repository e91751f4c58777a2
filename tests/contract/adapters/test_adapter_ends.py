"""Every adapter brings its orders to the end that the carrier made, number by number."""

from number_orders.orders.events import Acknowledged, CalledBack, Refused, StillOpen
from number_orders.orders.model import NumberState, State
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.all_cases import every_case, every_product
from tests.contract.adapters.case import OUTCOMES, Case, Fate, Product
from tests.contract.adapters.harness import STEP, open_harness, run


@every_product(Fate.FULL, Fate.PARTIAL, Fate.FAILED)
def test_the_end_is_the_carriers(control: SandboxControl, case: Case, product: Product, fate: Fate) -> None:
    async def ended() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[fate])
            await placed.run_to_end()
            assert placed.order.state is product.end_of(fate), placed.order
            assert placed.carrier_orders()[0]["outcome"] == OUTCOMES[fate]
            assert placed.differences() == []
            assert placed.commits == 1

    run(ended())


@every_product(Fate.FULL)
def test_an_order_is_acknowledged_by_its_id_and_open_until_it_ends(
    control: SandboxControl, case: Case, product: Product, fate: Fate
) -> None:
    async def acknowledged() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[fate])
            event = await placed.send()
            assert isinstance(event, Acknowledged)
            assert event.carrier_order_id == placed.carrier_orders()[0]["order_id"]
            assert isinstance(await placed.ask(), StillOpen)
            assert placed.numbers_in(*set(NumberState) - {NumberState.REQUESTED}) == ()

    run(acknowledged())


@every_product(Fate.STRANGE)
def test_an_unknown_status_is_open(control: SandboxControl, case: Case, product: Product, fate: Fate) -> None:
    async def strange() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[fate])
            await placed.send()
            harness.pass_time(STEP)
            event = await placed.ask()
            assert isinstance(event, StillOpen)
            assert event.unheard_of
            assert event.carrier_status == control.behaviour()["strange_word"]
            await placed.run_to_end()
            assert placed.order.state is product.end_of(fate)
            assert placed.differences() == []

    run(strange())


@every_product(Fate.ENDLESS)
def test_an_order_that_never_ends_stays_open(control: SandboxControl, case: Case, product: Product, fate: Fate) -> None:
    async def endless() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[fate])
            await placed.send()
            for _ in range(5):
                harness.pass_time(10 * STEP)
                assert isinstance(await placed.ask(), StillOpen)

    run(endless())


@every_product(Fate.ENDLESS)
def test_an_order_is_cancelled_only_where_that_is_declared(
    control: SandboxControl, case: Case, product: Product, fate: Fate
) -> None:
    async def called_back() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[fate])
            await placed.send()
            harness.pass_time(STEP)
            sent = len(placed.exchanges)
            placed.cancel()
            event = await placed.ask()
            if product.kind in harness.adapter.capabilities.cancellable:
                assert isinstance(event, CalledBack)
                assert placed.order.state is State.CANCELLED
                assert placed.carrier_orders()[0]["ended_at"]
                assert placed.differences() == []
            else:
                assert isinstance(event, StillOpen)
                assert {one.method for one in placed.exchanges[sent:]} == {"GET"}

    run(called_back())


@every_product(Fate.FULL)
def test_an_order_cancelled_too_late_ends_as_the_carrier_says(
    control: SandboxControl, case: Case, product: Product, fate: Fate
) -> None:
    async def too_late() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[fate])
            await placed.send()
            harness.pass_time(10 * STEP)
            placed.cancel()
            await placed.run_to_end()
            assert placed.order.state is product.end_of(fate)
            assert placed.differences() == []

    run(too_late())


@every_case
def test_an_order_that_the_carrier_refuses_fails_with_its_reason(control: SandboxControl, case: Case) -> None:
    async def refused() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(case.refused)
            event = await placed.send()
            assert isinstance(event, Refused)
            assert event.reason
            assert placed.order.state is State.FAILED
            assert placed.carrier_orders() == []

    run(refused())
