"""Carries out what a person decides at the command line: to park an order, and what becomes of a parked one."""

from typing import Final

from config.settings import Settings
from number_orders.cli.exits import Code, Stop
from number_orders.cli.output import clean
from number_orders.cli.services import find_order, open_services
from number_orders.orders.events import Adopted, Resolution, SentAgain, WrittenOff
from number_orders.orders.model import CarrierOrderId, Order

SPELLINGS: Final = "adopted:CARRIER_ORDER_ID|send-again|failed"
_ADOPTED: Final = "adopted:"


def decision(as_: str, *, by: str, why: str) -> Resolution:
    """Return what was decided: `adopted:` with the carrier's order id, `send-again` or `failed`.

    Raises:
        Stop: It cannot be read.
    """
    if as_.startswith(_ADOPTED) and (theirs := clean(as_.removeprefix(_ADOPTED))):
        return Adopted(CarrierOrderId(theirs), by, why)
    if as_ == "send-again":
        return SentAgain(by, why)
    if as_ == "failed":
        return WrittenOff(by, why)
    raise Stop(Code.USAGE, f"--as {clean(as_)!r} says nothing clear", mend=f"it is one of {SPELLINGS}")


async def resolve(settings: Settings, name: str, decided: Resolution) -> Order:
    """Do so with the order that is called `name`.

    Raises:
        NotResolvable: It does not wait for this decision, or what it would adopt is another order's.
    """
    async with open_services(settings) as services:
        return await services.orders.resolve(await find_order(services.ledger, name), decided)


async def park(settings: Settings, name: str, *, by: str, why: str) -> Order:
    """Take the order that is called `name` out of the machine's hands.

    Raises:
        NotParkable: It is being sent at this moment, or it is over.
    """
    async with open_services(settings) as services:
        return await services.orders.park(await find_order(services.ledger, name), by=by, why=why)
