"""Parks an order, and carries out a person's decision about a parked one."""

from typing import Final

from config.settings import Settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import clean
from number_orders.cli.services import find_order, open_services
from number_orders.orders.events import Adopted, Resolution, SentAgain, WrittenOff
from number_orders.orders.model import CarrierOrderId, Order

SPELLINGS: Final = "adopted:CARRIER_ORDER_ID|send-again|failed"
_ADOPTED: Final = "adopted:"


def read_decision(as_: str, *, by: str, why: str) -> Resolution:
    """Parse a decision: `adopted:` with the carrier's order id, `send-again` or `failed`.

    Raises:
        Stop: It is none of these.
    """
    if as_.startswith(_ADOPTED) and (carrier_order_id := clean(as_.removeprefix(_ADOPTED))):
        return Adopted(CarrierOrderId(carrier_order_id), by, why)
    if as_ == "send-again":
        return SentAgain(by, why)
    if as_ == "failed":
        return WrittenOff(by, why)
    raise Stop(ExitCode.USAGE, f"--as {clean(as_)!r} is no decision", hint=f"use one of {SPELLINGS}")


async def resolve_order(settings: Settings, name: str, decision: Resolution) -> Order:
    """Carry out the decision about the order `name`.

    Raises:
        NotResolvable: It is not parked, or the order that it would adopt belongs to another order of ours.
    """
    async with open_services(settings) as services:
        return await services.orders.resolve(await find_order(services.ledger, name), decision)


async def park_order(settings: Settings, name: str, *, by: str, why: str) -> Order:
    """Park the order `name`.

    Raises:
        NotParkable: A worker is sending it, or it has ended.
    """
    async with open_services(settings) as services:
        return await services.orders.park(await find_order(services.ledger, name), by=by, why=why)
