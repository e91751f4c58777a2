"""One wake-up, one child: an order goes through all its lanes in one turn, and other carriers' lanes are left alone."""

from datetime import timedelta

from number_orders.fulfilment.lanes.run import LANE_RUN_S
from number_orders.orders.model import CarrierName, Lane
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import Practice, accept, an_order, run

SWIFT = CarrierName("swift")
NOTIFY = {"task": "crm.moved", "queue": "crm", "on": ["COMPLETED"]}


def test_one_wake_up_takes_an_order_through_all_its_lanes(practice: Practice) -> None:
    """It is sent, asked about and told of while its first wake-up's run lasts."""
    practice.serves = lambda _carrier, _lane: True
    practice.policy = CarrierPolicy(settle_after=timedelta(), settle_looks=1, ask_first=timedelta())

    async def one_wake_up() -> None:
        async with practice.opened() as services:
            await services.ledger.schedule.open_lanes([SWIFT])  # another worker's, which is not set up here
            orders = await accept(services, *(an_order(f"crm-{number}", notify=NOTIFY) for number in range(6)))
            for _ in range(3):  # one is enough, unless the machine stalls for seconds
                if not practice.is_idle():
                    await services.orders.work(practice.name, Lane.SUBMIT)
            assert [practice.order(order_id)["state"] for order_id in orders] == ["COMPLETED"] * 6
            assert len(practice.notifier.delivered) == 6

    run(one_wake_up())


def test_run_without_other_lanes_works_the_called_one_alone(practice: Practice) -> None:
    practice.policy = CarrierPolicy(settle_after=timedelta(), settle_looks=1, ask_first=timedelta())

    async def alone() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            practice.carrier.fault("slow", delay_s=LANE_RUN_S / 5, times=1, method="POST", path="/orders")
            await services.orders.work(practice.name, Lane.SUBMIT)
            assert practice.story(order_id) == ["OrderAccepted", "SubmissionBegun", "Acknowledged"]

    run(alone())
