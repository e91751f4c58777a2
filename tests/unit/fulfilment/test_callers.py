"""Who has sent a message: nobody is believed to be another."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from number_orders.fulfilment.authority import Role
from number_orders.fulfilment.callers import Arrived, Caller, Callers, SignedMessages
from number_orders.ledger.producers import Signer
from number_orders.orders.errors import OrderRefused, UnknownOrder
from number_orders.orders.model import OrderId
from number_orders_client.signing import SIGNER_HEADER, Message, sign

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
KEYS = {name: f"whsec_{name * 8}" for name in ("crmA", "webB", "annC", "newD")}
ORDER_ID = OrderId(UUID(int=1))
OPERATORS = "orders.operators"
MESSAGE = Message("orders.cancel", "0b1c", (), {"order_id": str(ORDER_ID)})


@dataclass
class Store:
    """Signing keys, and an order of `crm`. Counts how often it was asked."""

    keys: dict[str, Signer] = field(
        default_factory=lambda: {
            "crm": Signer("producer", (KEYS["crmA"],)),
            "web": Signer("producer", (KEYS["webB"],)),
            "ann": Signer("operator", (KEYS["annC"],)),
        }
    )
    asked: int = 0

    async def signers(self, producers: Sequence[str]) -> dict[str, Signer]:
        self.asked += 1
        return {name: self.keys[name] for name in producers if name in self.keys}

    async def owners(self, order_ids: Sequence[OrderId]) -> dict[OrderId, str]:
        return {ORDER_ID: "crm"} if ORDER_ID in order_ids else {}


def signed_by(signer: str, key: str, queue: str = "orders") -> Arrived:
    return Arrived(MESSAGE, sign(MESSAGE, signer=signer, secret=KEYS[key], signed_at=NOON), queue)


UNSIGNED = Arrived(MESSAGE, {}, "orders")
CRM, ANN = signed_by("crm", "crmA"), signed_by("ann", "annC", OPERATORS)


def identify(
    arrived: Arrived, mode: SignedMessages = SignedMessages.REQUIRED, store: Store | None = None
) -> Caller | str:
    """Return who has sent the message, or the field of the refusal."""
    callers = Callers(store or Store(), mode, operators_queue=OPERATORS, clock=lambda: 0.0)
    try:
        return asyncio.run(callers.identify(arrived))
    except OrderRefused as refused:
        return refused.faults[0].field


@pytest.mark.parametrize("mode", [SignedMessages.ACCEPTED, SignedMessages.REQUIRED])
def test_signature_proves_who_has_sent_a_message(mode: SignedMessages) -> None:
    assert identify(CRM, mode) == Caller("crm", Role.PRODUCER)
    assert identify(ANN, mode) == Caller("ann", Role.OPERATOR, is_operator=True)
    assert identify(signed_by("crm", "webB"), mode) == "signature"
    assert identify(signed_by("nobody", "webB"), mode) == "signature"
    assert identify(replace(CRM, message=replace(MESSAGE, task_id="0b1d")), mode) == "signature"
    assert identify(replace(CRM, headers={**CRM.headers, SIGNER_HEADER: 7}), mode) == "signature"
    assert identify(replace(CRM, headers={SIGNER_HEADER: "crm"}), mode) == "signature"


def test_unsigned_message_is_refused_where_each_must_be_signed() -> None:
    assert identify(UNSIGNED, SignedMessages.REQUIRED) == "signature"
    assert identify(UNSIGNED, SignedMessages.ACCEPTED) == Caller()


def test_operators_have_a_queue_of_their_own() -> None:
    assert identify(replace(CRM, queue=OPERATORS)) == "message"
    assert identify(replace(ANN, queue="orders")) == "message"
    assert identify(replace(UNSIGNED, queue=OPERATORS), SignedMessages.ACCEPTED) == "signature"
    assert identify(replace(UNSIGNED, queue=OPERATORS), SignedMessages.OFF) == Caller(is_operator=True)


def test_without_signatures_every_claim_is_believed_and_no_signature_is_looked_at() -> None:
    store = Store()
    assert identify(signed_by("crm", "webB"), SignedMessages.OFF, store) == Caller()
    assert store.asked == 0


def test_operators_tasks_are_refused_on_the_producers_queue() -> None:
    for mode, arrived in ((SignedMessages.OFF, UNSIGNED), (SignedMessages.REQUIRED, CRM)):
        callers = Callers(Store(), mode, operators_queue=OPERATORS)
        with pytest.raises(OrderRefused, match=r"orders\.cancel is for operators, on the queue orders\.operators"):
            asyncio.run(callers.identify_operator(arrived))
    callers = Callers(Store(), SignedMessages.REQUIRED, operators_queue=OPERATORS)
    assert asyncio.run(callers.identify_operator(ANN)).person("somebody else") == "ann"


def test_producer_orders_for_itself_alone() -> None:
    crm = Caller("crm", Role.PRODUCER)
    assert [crm.producer(claimed) for claimed in (None, "default", "crm")] == ["crm"] * 3
    with pytest.raises(OrderRefused, match="is web, but the message is signed by crm"):
        crm.producer("web")
    with pytest.raises(OrderRefused, match="operators order nothing"):
        Caller("ann", Role.OPERATOR, is_operator=True).producer(None)
    assert (Caller().producer("web"), Caller().producer(None)) == ("web", "default")


def test_producer_sees_its_own_orders_alone() -> None:
    callers = Callers(Store(), SignedMessages.REQUIRED, operators_queue=OPERATORS)

    async def seen_by(caller: Caller, order_id: OrderId = ORDER_ID) -> None:
        await callers.require_own(caller, order_id)

    for allowed in (Caller("crm", Role.PRODUCER), Caller("ann", Role.OPERATOR, is_operator=True), Caller()):
        asyncio.run(seen_by(allowed))
    for caller, order_id in (
        (Caller("web", Role.PRODUCER), ORDER_ID),
        (Caller("crm", Role.PRODUCER), OrderId(UUID(int=2))),
    ):
        with pytest.raises(UnknownOrder):
            asyncio.run(seen_by(caller, order_id))


def test_keys_are_remembered_and_a_new_key_is_valid_within_a_second() -> None:
    store, now = Store(), [0.0]
    callers = Callers(store, SignedMessages.REQUIRED, operators_queue=OPERATORS, clock=lambda: now[0])
    renewed = signed_by("crm", "newD")

    async def course() -> None:
        for _ in range(3):
            await callers.identify(CRM)
        assert store.asked == 1
        store.keys["crm"] = Signer("producer", (KEYS["newD"],))
        with pytest.raises(OrderRefused):  # looked up less than a second ago
            await callers.identify(renewed)
        assert store.asked == 1
        now[0] = 1.5
        await callers.identify(renewed)
        assert store.asked == 2
        with pytest.raises(OrderRefused):
            await callers.identify(CRM)
        del store.keys["crm"]
        now[0] = 7.0
        with pytest.raises(OrderRefused):
            await callers.identify(renewed)

    asyncio.run(course())
