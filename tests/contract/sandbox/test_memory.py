"""A sandbox with a memory file restores the orders of an earlier one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.server import running_sandbox
from tests.contract.sandbox.bandwidth.client import BandwidthClient, area_xml, named_xml, order_xml
from tests.contract.sandbox.cm.callback_receiver import receiving
from tests.contract.sandbox.cm.client import CmClient
from tests.contract.sandbox.presets import AT_ONCE, SMALL
from tests.contract.sandbox.swift.client import SwiftClient, new_numbers, remove

CLOSE = "<Order><CloseOrder>true</CloseOrder><CustomerOrderId>renamed</CustomerOrderId></Order>"


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.jsonl"


@contextmanager
def sandbox_with(memory: Path) -> Iterator[BandwidthClient]:
    with running_sandbox(behaviour=read_behaviour(AT_ONCE), stock=SMALL, memory=memory) as control:
        client = BandwidthClient(control)
        yield client
        client.http.close()


def sold(client: BandwidthClient) -> Any:
    report = client.control.report()
    return report["orders"], report["totals"], report["duplicates"]


def test_orders_are_restored_with_their_numbers_and_moments(memory: Path) -> None:
    with sandbox_with(memory) as first:
        first.place(area_xml("919", 3), CustomerOrderId="plain")
        first.place(area_xml("808", 4), CustomerOrderId="partial")
        first.place(named_xml("+19192340100", "+19192349902"), CustomerOrderId="named")
        closed = first.place(area_xml("701", 2), CustomerOrderId="closed")
        assert first.put(closed, CLOSE).status_code == 200
        before = sold(first)

    with sandbox_with(memory) as second:
        assert sold(second) == before
        assert {order["status"] for order in before[0]} == {"COMPLETE", "PARTIAL"}
        assert second.read(before[0][0]["order_id"]).findtext("OrderStatus") == "COMPLETED"


def test_what_was_sold_is_not_sold_again(memory: Path) -> None:
    with sandbox_with(memory) as first:
        first.place(area_xml("919", 3))

    with sandbox_with(memory) as second:
        second.place(area_xml("919", 3))
        orders, _, duplicates = sold(second)

    assert len({number for order in orders for number in order["bought"]}) == 6
    assert duplicates["numbers"] == {}


def test_timeline_that_was_decided_continues(memory: Path) -> None:
    with sandbox_with(memory) as first:
        first.control.behave(processing_s=3600)
        first.place(area_xml("919"))
        ((before,), _, _) = sold(first)

    with sandbox_with(memory) as second:  # its own orders end at once
        ((after,), _, _) = sold(second)

    assert (after["status"], after["set_aside"]) == ("RECEIVED", before["set_aside"])


def test_cut_off_last_line_is_dropped(memory: Path) -> None:
    with sandbox_with(memory) as first:
        first.place(area_xml("919"))
        kept = memory.read_text()
        first.place(area_xml("984"))
    memory.write_text(memory.read_text()[: len(kept) + 40])

    with sandbox_with(memory) as second:
        assert len(sold(second)[0]) == 1
        second.place(area_xml("984"))

    with sandbox_with(memory) as third:
        assert len(sold(third)[0]) == 2


def test_reset_forgets(memory: Path) -> None:
    with sandbox_with(memory) as first:
        first.place(area_xml("919"))
        first.control.reset()

    with sandbox_with(memory) as second:
        assert sold(second)[0] == []


def test_order_that_was_never_made_is_not_remembered(memory: Path) -> None:
    with sandbox_with(memory) as first:
        first.post("<Order/>")
        first.control.fault("error_before", method="POST", path="/orders")
        assert first.post(order_xml(area_xml("919"))).status_code == 503

    assert not memory.exists()


def test_carts_taint_and_clock_are_restored(memory: Path) -> None:
    with sandbox_with(memory) as first:
        swift = SwiftClient(first.control)
        first.control.behave(swift_usable_s=5000)
        (number, other) = swift.bought(2, npa="919")
        early = swift.order(remove(number), reference="early")
        first.control.advance(1800)
        late = swift.order(remove(number), new_numbers(npa="303"), reference="late")
        first.control.behave(tainted_removal="refused")
        refused = swift.open_cart("refused")
        swift.request(refused, remove(*swift.numbers()[-1:]))
        assert swift.check_out(refused).status_code == 422
        open_still = swift.open_cart("open")
        swift.request(open_still, new_numbers(npa="206"))
        before = sold(first), first.control.report()["violations"], swift.dids()
        swift.http.close()

    with sandbox_with(memory) as second:
        swift = SwiftClient(second.control)
        assert (sold(second), second.control.report()["violations"], swift.dids()) == before
        assert second.control.clock()["ahead_s"] == 1800
        assert (swift.status(early), swift.status(late)) == ("ERROR", "COMPLETED")
        assert swift.check_out(late).status_code == 409
        assert swift.check_out(open_still).status_code == 200
        assert [n[1:4] for n in swift.numbers()] == ["919", "303", "206"]
        assert swift.numbers()[0] == other
        swift.http.close()


def test_number_requests_are_restored_and_customers_are_called(memory: Path) -> None:
    with sandbox_with(memory) as first, receiving() as receiver:
        cm = CmClient(first.control)
        done = cm.place(areaCode="020", quantity=20, rangeSize=10, comment="ref=done")
        first.control.behave(cm_review_s=1000)
        cancelled = cm.place(comment="ref=cancelled")
        cm.cancel(cancelled)
        waiting = cm.place(comment="ref=waiting", callbackUrl=receiver.url)
        before = sold(first), [cm.read(guid) for guid in (done, cancelled, waiting)]
        cm.http.close()

        with sandbox_with(memory) as second:
            cm = CmClient(second.control)
            assert (sold(second), [cm.read(guid) for guid in (done, cancelled, waiting)]) == before
            second.control.advance(1001)
            assert {each["status"] for each in receiver.wait_for(2)} == {"IN_PROGRESS", "COMPLETED"}
            assert cm.status(waiting) == "COMPLETED"
            cm.http.close()
