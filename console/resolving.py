"""Carries out from the command line what a person decides about a parked order."""

from config.settings import Settings
from console.endings import Code, Stop
from console.printing import clean
from console.rooms import find_order, open_room, whoami
from orders.events import Adopted, Decision, SentAgain, WrittenOff
from orders.model import CarrierOrderId, Order


def decision(*, adopt: str | None, again: bool, failed: bool, why: str) -> Decision:
    """Return what was decided, by whoever types.

    Raises:
        Stop: Not exactly one thing was decided, or something is left blank.
    """
    if [adopt is not None, again, failed].count(True) != 1:
        raise Stop(Code.USAGE, "give exactly one of --adopt CARRIER_ORDER_ID, --send-again and --failed")
    by, because = whoami(), _said("--why", why)
    if adopt is not None:
        return Adopted(CarrierOrderId(_said("--adopt", adopt)), by, because)
    return SentAgain(by, because) if again else WrittenOff(by, because)


async def resolve(settings: Settings, name: str, decided: Decision) -> Order:
    """Do so with the order that is called `name`.

    Raises:
        NotResolvable: It does not wait for this decision, or what it would adopt is another order's.
    """
    async with open_room(settings) as room:
        return await room.desk.resolve(await find_order(room.ledger, name), decided)


def _said(option: str, text: str) -> str:
    said = clean(text)
    if not said:
        raise Stop(Code.USAGE, f"{option} is blank")
    return said
