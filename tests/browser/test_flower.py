"""Flower as a person on call uses it: find an order, see what it waits for, and how it ended."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, HttpCredentials, Locator, Page, expect

from tests.acceptance.conftest import Producer, producing
from tests.acceptance.demo_processes import Up, up

pytestmark = [pytest.mark.timeout(1200)]

PASSWORD = "correct,horse"
PATIENCE_MS = 60_000
MOMENT = re.compile(r"ACCEPTED: waits until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: ")


class Orders(NamedTuple):
    """The ids of the orders that Flower is to show, by what became of them."""

    completed: str
    partial: str
    refused: str
    tainted: str
    backordered: str
    number: str
    """One that the first has bought."""


def an_order(key: str, carrier: str = "bandwidth", **other: Any) -> dict[str, Any]:
    return {"key": key, "carrier": carrier, "kind": "new_numbers", **other}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("up") / "var", FLOWER_PASSWORD=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def orders(system: Up) -> Orders:
    """Five orders, each as far as it goes by itself."""
    with producing(system.broker_url) as producer:
        submitted = {
            key: producer.submit(order)["order_id"]
            for key, order in {
                "completed": an_order("crm-000123", criteria={"npa": "919"}, quantity=3, notes="for Jane Doe"),
                "partial": an_order("crm-000124", criteria={"npa": "808"}, quantity=4),
                "refused": an_order("crm-000125", criteria={"npa": "406"}, quantity=1),
                "backordered": an_order("crm-000126", criteria={"npa": "701"}, quantity=2, allow_backorder=True),
                "young": an_order("crm-000127", "swift", criteria={"npa": "919"}, quantity=1),
            }.items()
        }
        young = _number(producer, submitted.pop("young"))
        removal = {"key": "crm-000128", "carrier": "swift", "kind": "remove_numbers", "numbers": [young]}
        tainted = producer.submit(removal)["order_id"]
        ended = [producer.await_end(submitted[name])["state"] for name in ("completed", "partial", "refused")]
        assert ended == ["COMPLETED", "PARTIAL", "FAILED"]
        return Orders(**submitted, tainted=tainted, number=_number(producer, submitted["completed"]))


def _number(producer: Producer, order_id: str) -> str:
    return str(producer.await_end(order_id)["numbers"][0]["e164"])


@pytest.fixture
def page(browser: Browser, system: Up, orders: Orders) -> Iterator[Page]:
    credentials = HttpCredentials(username="operator", password=PASSWORD, origin=None, send=None)
    with browser.new_context(
        base_url=system.note["flower"],
        http_credentials=credentials,
        viewport={"width": 1480, "height": 620},
    ) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto("/tasks")
        yield page


def rows(page: Page) -> Locator:
    return page.locator("#tasks-table tbody tr")


def row(page: Page, order_id: str) -> Locator:
    return page.locator(f"#tasks-table tbody tr:has(a[href$='{order_id}'])")


def show(page: Page, words: str) -> None:
    """Type into the field above the table."""
    page.get_by_role("searchbox").fill(words)


def await_row(page: Page, order_id: str, state: str) -> None:
    """Look again until Flower has the order in this state."""
    for _ in range(20):
        if row(page, order_id).get_by_text(state, exact=True).count():
            return
        page.wait_for_timeout(1000)
        page.reload()
    expect(row(page, order_id)).to_contain_text(state)


def detail(page: Page, name: str) -> Locator:
    return page.locator(f".task-details-card .detail-row:has(dt:text-is('{name}')) dd")


def test_every_order_is_one_row_and_no_message_of_ours_is(page: Page, orders: Orders, artefacts: Path) -> None:
    await_row(page, orders.tainted, "RETRY")
    await_row(page, orders.backordered, "STARTED")

    expect(rows(page)).to_have_count(6)
    names = page.locator("#tasks-table tbody tr td:first-child").all_inner_texts()
    assert {name.split(".")[0] for name in names} == {"order"}
    expect(page.locator("#tasks-table")).not_to_contain_text("Jane")
    page.screenshot(path=artefacts / "flower.png")


def test_an_order_is_found_by_its_key_its_number_and_its_id(page: Page, orders: Orders) -> None:
    await_row(page, orders.completed, "SUCCESS")
    for words in ("crm-000123", "kwargs:key=crm-000123", orders.number, orders.completed):
        show(page, words)
        expect(rows(page)).to_have_count(1)
        expect(row(page, orders.completed)).to_contain_text("COMPLETED: 3 of 3 numbers")


def test_a_completed_order_shows_its_end_and_numbers(page: Page, orders: Orders) -> None:
    await_row(page, orders.completed, "SUCCESS")
    row(page, orders.completed).locator("a[href*='/task/']").click()

    expect(detail(page, "Status")).to_contain_text("SUCCESS")
    expect(detail(page, "Name")).to_contain_text("order.bandwidth.new_numbers")
    expect(detail(page, "Result")).to_contain_text(orders.number)
    expect(detail(page, "Keyword arguments")).to_contain_text("'criteria': {'npa': '919'}")
    expect(page.get_by_role("button", name=re.compile("terminate|revoke", re.IGNORECASE))).to_have_count(0)


def test_a_tainted_removal_is_retried_and_shows_until_when(page: Page, orders: Orders, artefacts: Path) -> None:
    await_row(page, orders.tainted, "RETRY")
    page.get_by_role("button", name="Retried").click()
    expect(rows(page)).to_have_count(1)
    expect(row(page, orders.tainted)).to_contain_text(MOMENT)
    row(page, orders.tainted).locator("a[href*='/task/']").click()

    expect(detail(page, "Status")).to_contain_text("RETRY")
    expect(detail(page, "Result")).to_contain_text(MOMENT)
    expect(detail(page, "ETA")).to_contain_text(re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"))
    page.screenshot(path=artefacts / "flower-tainted.png")


def test_a_partial_order_is_not_green_and_says_what_came(page: Page, orders: Orders) -> None:
    await_row(page, orders.partial, "PARTIAL")
    badge = row(page, orders.partial).locator(".badge")
    expect(badge).to_have_text("PARTIAL")
    assert "success" not in (badge.get_attribute("class") or "")
    show(page, "state:PARTIAL")
    expect(rows(page)).to_have_count(1)
    expect(row(page, orders.partial)).to_contain_text("PARTIAL: 2 of 4 numbers")


def test_orders_are_filtered_by_state(page: Page, orders: Orders) -> None:
    await_row(page, orders.refused, "FAILURE")
    page.get_by_role("button", name="Failed").click()
    expect(rows(page)).to_have_count(1)
    expect(row(page, orders.refused)).to_contain_text("FAILED: 0 of 1 number")
    page.get_by_role("button", name="Started").click()
    expect(rows(page)).to_have_count(1)
    expect(row(page, orders.backordered)).to_contain_text("OPEN at bandwidth as ")
    expect(row(page, orders.backordered)).to_contain_text("Order backordered")


def test_without_the_password_there_is_nothing_to_see(browser: Browser, system: Up) -> None:
    with browser.new_context(base_url=system.note["flower"]) as context:
        answer = context.request.get("/tasks")
        assert answer.status == 401
