"""A question that brings no answer moves nothing: no order ends, and none is declared absent, for a gateway's page."""

from dataclasses import replace
from typing import Any, Final

from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.case import Case, Fate, Offer
from tests.contract.adapters.errand import Counter, Errand, counter, run
from tests.contract.adapters.every import every_offer

TROUBLE: Final[dict[str, dict[str, Any]]] = {
    "dropped": {"fault": "drop_after"},
    "503": {"fault": "error_before"},
    "500": {"fault": "error_before", "status": 500},
    "302": {"fault": "error_before", "status": 302},
    "gateway_page": {"fault": "html"},
    "page_as_200": {"fault": "html", "status": 200},
    "garbage": {"fault": "garbage"},
    "garbage_as_400": {"fault": "garbage", "status": 400},
    "empty": {"fault": "empty"},
    "limit": {"fault": "too_many_requests", "delay_s": 30},
}


async def unmoved(open_counter: Counter, errand: Errand) -> None:
    """Ask or look in vain, in every trouble, and go on when it is over."""
    before = errand.order
    believed = []
    for what, fault in TROUBLE.items():
        open_counter.control.fault(**fault, method="GET", carrier=open_counter.case.entry.name)
        try:
            event = await (errand.ask() if before.state is State.OPEN else errand.look())
        except (NoAnswer, UnreadableAnswer):
            assert replace(errand.order, progress={}) == replace(before, progress={}), what
        else:
            believed.append((what, event))
        open_counter.control.clear_faults()
    assert believed == []
    await errand.to_the_end()
    assert errand.untrue() == []


@every_offer()
def test_an_open_order_stays_open(control: SandboxControl, case: Case, offer: Offer) -> None:
    async def asked() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[Fate.FULL])
            await errand.send()
            await unmoved(open_counter, errand)

    run(asked())


@every_offer()
def test_an_order_in_doubt_stays_in_doubt(control: SandboxControl, case: Case, offer: Offer) -> None:
    async def looked_for() -> None:
        async with counter(case, control) as open_counter:
            errand = await open_counter.begin(offer.wishes[Fate.FULL])
            method, path = offer.commit
            control.fault("drop_after", times=1, method=method, path=path, carrier=case.entry.name)
            assert isinstance(await errand.send(), AnswerLost)
            control.clear_faults()
            await unmoved(open_counter, errand)

    run(looked_for())
