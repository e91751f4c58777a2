"""A person on call uses the board: finds the stuck order, sees why, mends it."""

import re
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, ViewportSize, expect

from tests.browser.board.conftest import Desk, NewPage, log_in, screenshot

pytestmark = [pytest.mark.timeout(600)]

PHONE: ViewportSize = {"width": 390, "height": 844}


def an_order(key: str, **changes: Any) -> dict[str, Any]:
    order = {"key": key, "carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 2}
    return {**order, **changes}


def in_time(**ahead: float) -> str:
    """A moment ahead, as a producer writes it."""
    at = time.time() + timedelta(**ahead).total_seconds()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def no_sideways_scroll(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} pixels too wide"


def test_stuck_order_is_found_understood_and_mended(desk: Desk, new_page: NewPage) -> None:
    """A lane was paused, an order waits: the overview shows both, the order says why, and resuming ends it."""
    page = new_page(viewport={"width": 1280, "height": 900})
    log_in(page, desk)
    expect(page.get_by_role("heading", name="Nothing needs a person")).to_be_visible()
    desk.submit(*(an_order(f"crm-{number}") for number in range(1, 9)))

    lanes = page.get_by_role("region", name="Lanes")
    lanes.get_by_text("Pause bandwidth submit").click()
    lanes.locator("details[open]").get_by_label("Why").fill("their maintenance")
    lanes.locator("details[open]").get_by_role("button", name="Pause").click()
    expect(lanes.get_by_text("paused by ada")).to_be_visible()
    desk.submit(an_order("stuck-1"))

    # Live: nobody loads the page again.
    oldest = page.get_by_role("region", name="Oldest waiting")
    expect(oldest.get_by_role("link", name="stuck-1")).to_be_visible()
    ended = re.compile(r"COMPLETED ([89]|\d\d)")  # an order of another test may be among them
    expect(page.locator("#counts").get_by_role("row", name=ended)).to_be_visible(timeout=90_000)
    screenshot(page, "overview-paused")
    oldest.get_by_role("link", name="stuck-1").click()
    expect(page.get_by_role("heading", name="stuck-1")).to_be_visible()
    expect(page.locator("#waits")).to_contain_text("paused by ada")
    expect(page.locator("#waits")).to_contain_text("their maintenance")
    screenshot(page, "order-paused")

    page.get_by_role("link", name="Overview").click()
    lanes.get_by_text("Resume bandwidth submit").click()
    lanes.locator("details[open]").get_by_label("Why").fill("over")
    lanes.locator("details[open]").get_by_role("button", name="Resume").click()
    page.get_by_role("searchbox").fill("stuck-1")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("COMPLETED", timeout=90_000)
    expect(page.get_by_role("region", name="Numbers")).to_contain_text("+1919")
    page.get_by_text("Request and answer").first.click()
    screenshot(page, "order-completed")


def test_parked_order_is_decided_by_typing_its_key(desk: Desk, new_page: NewPage) -> None:
    page = new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    log_in(page, desk)
    (order_id,) = desk.submit(an_order("park-1", not_before=in_time(days=7)))
    page.goto(f"/orders/{order_id}")
    expect(page.locator("#waits")).to_contain_text("to be sent")
    page.locator("summary", has_text="Park").click()
    page.locator("details[open]").get_by_label("Why").fill("the customer is not sure")
    page.locator("details[open]").get_by_role("button", name="Park").click()
    expect(page.locator("#state")).to_have_text("PARKED")
    expect(page.locator("#happens")).to_contain_text("ada parked it")

    page.get_by_role("link", name="Overview").click()
    parked = page.get_by_role("group", name="Parked orders")
    expect(parked.get_by_role("link", name="park-1")).to_be_visible()
    screenshot(page, "overview-parked-dark")
    parked.get_by_role("link", name="park-1").click()
    page.locator("summary", has_text="Close").click()
    form = page.locator("details[open]")
    form.get_by_label("Why").fill("he does not want it")
    form.get_by_label("Type the key").fill("park-2")
    form.get_by_role("button", name="Close").click()
    expect(page.get_by_role("alert")).to_contain_text("type the order's key")
    screenshot(page, "order-refused-dark")
    form = page.locator("details[open]")
    form.get_by_label("Type the key").fill("park-1")
    form.get_by_role("button", name="Close").click()
    expect(page.locator("#state")).to_have_text("FAILED")
    expect(page.locator("#story")).to_contain_text("he does not want it")


def test_countdown_runs_by_itself(desk: Desk, new_page: NewPage) -> None:
    page = new_page()
    log_in(page, desk)
    (order_id,) = desk.submit(an_order("later-1", not_before=in_time(minutes=10)))
    page.goto(f"/orders/{order_id}")
    shown = page.locator("#waits [data-relative]").first
    before = shown.inner_text()
    assert re.fullmatch(r"in (9 min \d+ s|10 min|9 min)", before)
    expect(shown).not_to_have_text(before, timeout=30_000)


def test_phone(desk: Desk, new_page: NewPage) -> None:
    (order_id,) = desk.submit(an_order("phone-1"))
    page = new_page(viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True)
    log_in(page, desk)
    for name, path in (("overview", "/"), ("orders", "/orders?state=ended"), ("order", f"/orders/{order_id}")):
        page.goto(path)
        no_sideways_scroll(page)
        screenshot(page, f"{name}-phone")


def test_keyboard_alone_is_enough(desk: Desk, new_page: NewPage) -> None:
    page = new_page()
    log_in(page, desk)
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for role, count in (("banner", 1), ("navigation", 1), ("search", 1), ("main", 1), ("contentinfo", 1)):
        assert page.get_by_role(role).count() == count  # type: ignore[arg-type]  # a role each
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]), select, button')]"
        ".filter(each => !each.labels?.length && !each.textContent.trim() && !each.ariaLabel)"
        ".map(each => each.outerHTML)"
    )
    assert unnamed == []
    assert page.evaluate("[...document.querySelectorAll('thead th')].every(each => each.scope === 'col')")


def test_without_javascript(desk: Desk, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    log_in(page, desk)
    (order_id,) = desk.submit(an_order("plain-1", not_before=in_time(days=7)))
    page.goto(f"/orders/{order_id}")
    page.locator("summary", has_text="Cancel").click()
    page.locator("details[open]").get_by_label("Why").fill("nobody wants it")
    page.locator("details[open]").get_by_role("button", name="Cancel").click()
    expect(page.locator("#state")).to_have_text("CANCELLED")
    page.goto("/orders?state=CANCELLED")
    expect(page.get_by_role("link", name="plain-1")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_light_and_dark(desk: Desk, new_page: NewPage) -> None:
    for scheme in ("light", "dark"):
        page = new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        log_in(page, desk)
        time.sleep(1)
        screenshot(page, f"overview-{scheme}")
        page.goto("/orders")
        screenshot(page, f"orders-{scheme}")
        page.goto("/login?next=/")
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", back))) < 80) is (scheme == "dark")


def answer_badly(route: Route) -> None:
    """As a proxy does while the receiver behind it restarts."""
    route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>")


def test_page_says_that_it_is_old_and_catches_up(desk: Desk, new_page: NewPage) -> None:
    """A browser gives a stream up for ever after one answer that is none."""
    page = new_page(expects=["status of 502", "MIME type"])
    log_in(page, desk)
    (order_id,) = desk.submit(an_order("proxy-1", not_before=in_time(days=7)))
    stale = page.locator("#stale")

    page.route("**/live?*", answer_badly)
    page.goto(f"/orders/{order_id}")
    expect(page.locator("#state")).to_have_text("ACCEPTED")
    expect(stale).to_be_hidden()
    page.route(f"**/orders/{order_id}", answer_badly)
    expect(stale).to_contain_text("Not up to date since", timeout=30_000)
    screenshot(page, "order-stale")
    cancel(desk, order_id)

    # The stream stays away, and the page keeps itself up to date without it.
    page.unroute(f"**/orders/{order_id}")
    expect(page.locator("#state")).to_have_text("CANCELLED", timeout=30_000)
    expect(stale).to_be_hidden()
    with page.expect_response(lambda answer: "/live?" in answer.url and answer.ok, timeout=40_000):
        page.unroute("**/live?*")


def cancel(desk: Desk, order_id: str) -> None:
    headers = {"Authorization": f"Bearer {desk.producer_token}"}
    httpx.post(f"{desk.url}/v1/orders/{order_id}/cancel", headers=headers).raise_for_status()


def test_page_leads_to_the_login_when_its_session_is_over(desk: Desk, new_page: NewPage) -> None:
    page = new_page(expects=["net::ERR_FAILED"])
    log_in(page, desk)
    page.route("**/live?*", lambda route: route.abort())
    page.goto("/")
    page.context.clear_cookies()
    expect(page.get_by_label("Token")).to_be_visible(timeout=30_000)


def test_page_goes_on_after_a_refusal(desk: Desk, new_page: NewPage) -> None:
    """Its address is that of the action then, which nothing can be read from."""
    page = new_page()
    log_in(page, desk)
    (order_id,) = desk.submit(an_order("refused-1", not_before=in_time(days=7)))
    page.goto(f"/orders/{order_id}")
    page.locator("summary", has_text="Park").click()
    page.locator("details[open]").get_by_label("Why").fill(" ")
    page.locator("details[open]").get_by_role("button", name="Park").click()
    expect(page.get_by_role("alert").first).to_contain_text("Give the reason")
    assert page.url.endswith("/park")
    cancel(desk, order_id)
    expect(page.locator("#state")).to_have_text("CANCELLED", timeout=30_000)
    expect(page.locator("#stale")).to_be_hidden()
    page.goto(page.url)
    assert page.url.endswith(f"/orders/{order_id}")
