"""What the pages show, and what operators do there, on a real ledger and the practice carrier."""

import asyncio
import re
import threading
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest

from number_orders.ledger.order_views import OrderFilter
from number_orders.orders.events import Acknowledged, SubmissionBegun
from number_orders.orders.model import CarrierName, CarrierOrderId, OrderId, State
from number_orders.receiver.board import live, routes
from number_orders.receiver.board.actions import ActionRefused, carry_out
from number_orders.receiver.board.policy import BoardPolicy
from number_orders.story.advice import Action
from tests.integration.fulfilment.practice import Practice, accept, an_order
from tests.integration.fulfilment.test_decisions import record_event
from tests.integration.receiver.board.conftest import SAME_ORIGIN, form_token, make_token, running_board, take_in
from tests.integration.receiver.conftest import Running


def act(client: httpx.Client, order_id: OrderId, action: str, **fields: str) -> httpx.Response:
    path = f"/orders/{order_id}"
    return client.post(f"{path}/{action}", data={"form_token": form_token(client, path), **fields})


def version_of(client: httpx.Client, order_id: OrderId) -> str:
    found = re.search(r'name="version" value="(\d+)"', client.get(f"/orders/{order_id}").text)
    assert found
    return found[1]


def last_event(practice: Practice, order_id: OrderId) -> dict[str, Any]:
    query = "SELECT event, detail FROM order_events WHERE order_id = %(id)s ORDER BY version DESC LIMIT 1"
    (row,) = practice.rows(query, id=order_id)
    return row


def test_overview_has_orders_lanes_carriers_and_ends(board: Running, ada: httpx.Client) -> None:
    assert "Nothing needs a person" in ada.get("/").text
    take_in(board.practice, an_order("done-1"))
    board.work()
    (waiting,) = take_in(board.practice, an_order("waits-1"))
    asyncio.run(asyncio.sleep(2.1))  # what was read is shown for so long
    text = ada.get("/").text
    assert "waits-1" in text
    assert str(waiting) in text
    assert re.search(r'state=ACCEPTED&amp;carrier=bandwidth">1<', text)
    assert re.search(r'<th scope="row">bandwidth</th><td>submit</td>', text)


def test_ends_are_drawn(board: Running, ada: httpx.Client) -> None:
    take_in(board.practice, an_order("done-1"), an_order("done-2"))
    board.work()
    text = ada.get("/").text
    assert "2 orders ended" in text
    assert text.count('class="pygal-chart"') == 4
    assert re.search(r'state=COMPLETED&amp;carrier=bandwidth">2<', text)
    assert "HTTP 200" in text


def test_order_has_its_numbers_and_story(board: Running, ada: httpx.Client) -> None:
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    board.work()
    text = ada.get(f"/orders/{order_id}").text
    (number,) = board.practice.numbers(order_id)
    assert number in text
    assert "COMPLETED" in text
    assert "completed the order" in text
    assert "POST /" in text
    assert "&lt;Order&gt;" in text, "the request itself"
    assert "sandbox-secret" not in text


@pytest.mark.parametrize("what", ["id", "key", "number", "national", "carrier_order_id", "other_carrier_order"])
def test_search_goes_to_the_order(board: Running, ada: httpx.Client, what: str) -> None:
    order_id, _ = take_in(board.practice, an_order("crm-7"), an_order("other"))
    board.work()
    (number,) = board.practice.numbers(order_id)
    texts = {
        "id": str(order_id),
        "key": "crm-7",
        "number": number,
        "national": number.removeprefix("+1"),
        "carrier_order_id": board.practice.order(order_id)["carrier_order_id"],
        "other_carrier_order": "theirs-2",
    }
    board.practice.db.execute(
        "UPDATE orders SET other_carrier_orders = '{theirs-2,theirs-3}' WHERE order_id = %s", [order_id]
    )
    answer = ada.get("/search", params={"q": texts[what]})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/orders/{order_id}")


@pytest.mark.parametrize("what", ["id", "key", "number", "carrier_order_id", "reference"])
def test_archived_order_is_found_and_says_so(board: Running, ada: httpx.Client, what: str) -> None:
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    board.work()
    (number,) = board.practice.numbers(order_id)
    order = board.practice.order(order_id)
    texts = {"id": str(order_id), "key": "crm-7", "number": number, "reference": order["reference"] or str(order_id)}
    texts["carrier_order_id"] = order["carrier_order_id"]
    put_into_archive(board.practice)
    assert board.practice.rows("SELECT order_id FROM orders") == []
    answer = ada.get("/search", params={"q": texts[what]})
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/orders/{order_id}")
    assert "It has been in the archive since" in ada.get(f"/orders/{order_id}").text
    assert f"/orders/{order_id}" in ada.get("/orders", params={"key": "crm-7"}).text
    assert f"/orders/{order_id}" not in ada.get("/orders").text


def put_into_archive(practice: Practice) -> None:
    """Archive everything that has ended."""

    async def archive() -> None:
        async with practice.opened() as services:
            practice.db.execute("UPDATE orders SET ended_at = ended_at - '400 days'::interval")
            practice.db.execute("DELETE FROM receipts")
            await services.ledger.archive.copy(timedelta(days=30))
            practice.db.execute("UPDATE archived_orders SET archived_at = archived_at - '1 day'::interval")
            await services.ledger.archive.remove()

    asyncio.run(archive())


def test_overview_has_the_guard_and_the_last_comparison(board: Running, ada: httpx.Client) -> None:
    async def fall() -> None:
        async with board.practice.opened() as services:
            await services.ledger.holdings.keep_result(
                CarrierName("bandwidth"), theirs=1200, ours=1198, orphans=3, ghosts=1
            )
            await services.ledger.holdings.keep_result(CarrierName("bandwidth"), trouble="HTTP 503")
            await services.ledger.guard.begin(timedelta(hours=72), who="ada", why="restored from Tuesday")

    asyncio.run(fall())
    text = " ".join(ada.get("/").text.split())
    assert "Needs a person" in text
    assert "restored from Tuesday" in text
    assert re.search(r'<td class="number">1,200</td><td class="number">1,198</td><td class="number">3</td>', text)
    assert "HTTP 503" in text


def test_stock_is_drawn_from_its_snapshots(board: Running, ada: httpx.Client) -> None:
    assert "Numbers for sale" not in ada.get("/").text
    query = """
        INSERT INTO coverage_snapshots (carrier, taken_at, query, entry, quantity)
        SELECT 'swift', now() - %s * '1 day'::interval, 'all', entry, 5000 + %s
        FROM unnest('{"",npa=919}'::text[]) AS entry"""
    for day in (1, 20, 200):
        board.practice.db.execute(query, [day, day])
    with running_board(board.practice) as fresh, fresh.client(**SAME_ORIGIN) as client:
        client.cookies = ada.cookies
        text = " ".join(client.get("/").text.split())
    assert "swift: 5,001, counted" in text
    assert "5,020" in text
    assert "5,200" not in text


def test_search_by_producer_and_in_vain(board: Running, ada: httpx.Client) -> None:
    take_in(board.practice, an_order("crm-7"))
    assert ada.get("/search", params={"q": "default"}).headers["location"] == "/orders?producer=default"
    answer = ada.get("/search", params={"q": "<script>alert(1)</script>"})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


def test_lists_are_filtered_and_paged(board: Running, ada: httpx.Client) -> None:
    take_in(board.practice, *(an_order(f"k{number:02}") for number in range(60)))
    first = ada.get("/orders").text
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = ada.get(older[1].replace("&amp;", "&")).text
    keys = re.findall(r">(k\d\d)</a>", first + second)
    assert sorted(keys) == [f"k{number:02}" for number in range(60)]
    assert "k07" in ada.get("/orders?key=k07").text
    assert "k08" not in ada.get("/orders?key=k07").text
    assert "k07" not in ada.get("/orders?state=PARKED").text
    assert ada.get("/orders?state=NONE").status_code == 422


def test_states_that_events_are_found_by(board: Running) -> None:
    """A page looks through a limited number of orders, and the next goes on behind them."""
    practice = board.practice
    orders = take_in(practice, *(an_order(f"k{number}") for number in range(5)))
    board.work()

    async def read() -> None:
        async with practice.opened() as services:
            view = services.ledger.board
            completed = OrderFilter(states=[State.COMPLETED])
            seen: list[OrderId] = []
            page = await view.page(completed, limit=2)
            while True:
                seen += [each.order.order_id for each in page.orders]
                if page.next is None:
                    break
                page = await view.page(completed, limit=2, after=page.next)
            assert sorted(seen) == sorted(orders)
            none = await view.page(OrderFilter(carrier="cm"), limit=2, looked_at=3)
            assert none.orders == []
            assert none.next is not None
            rest = await view.page(OrderFilter(carrier="cm"), limit=2, looked_at=3, after=none.next)
            assert (rest.looked, rest.next) == (2, None)

    asyncio.run(read())


def test_cancel_is_in_the_story_with_the_name(board: Running, ada: httpx.Client) -> None:
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    answer = act(ada, order_id, "cancel", why="asked by phone")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"/orders/{order_id}?done=cancel.")
    assert board.practice.order(order_id)["state"] == "CANCELLED"
    detail = last_event(board.practice, order_id)["detail"]
    assert (detail["by"], detail["why"]) == ("ada", "asked by phone")
    assert "The cancellation is stored" in ada.get(answer.headers["location"]).text
    assert "The order is closed" not in ada.get(f"/orders/{order_id}?done=close").text, "anybody can write a link"


def test_parked_order_is_decided_with_its_key(board: Running, ada: httpx.Client) -> None:
    practice = board.practice
    (order_id,) = take_in(practice, an_order("crm-7"))
    assert act(ada, order_id, "park", why="").status_code == 409, "a reason is needed"
    assert act(ada, order_id, "park", why="ask the customer first").status_code == 303
    assert "ask the customer first" in ada.get("/").text
    version = version_of(ada, order_id)
    wrong = act(ada, order_id, "send-again", why="he wants it", key="crm-8", version=version)
    assert wrong.status_code == 409
    assert "type the order" in wrong.text
    assert "he wants it" in wrong.text, "what was typed is kept"
    stale = act(ada, order_id, "send-again", why="he wants it", key="crm-7", version="0")
    assert "has moved since" in stale.text
    assert practice.order(order_id)["state"] == "PARKED"
    assert act(ada, order_id, "send-again", why="he wants it", key="crm-7", version=version).status_code == 303
    assert last_event(practice, order_id)["detail"]["by"] == "ada"
    board.work()
    assert practice.order(order_id)["state"] == "COMPLETED"
    assert practice.differences(order_id) == []


def test_refusal_of_the_service_is_shown(board: Running, ada: httpx.Client) -> None:
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    board.work()
    answer = act(ada, order_id, "park", why="too late")
    assert answer.status_code == 409
    assert "it is over" in answer.text


def test_retry_makes_it_due(board: Running, ada: httpx.Client) -> None:
    practice = board.practice
    (order_id,) = take_in(practice, an_order("crm-7"))
    practice.db.execute("UPDATE owed SET not_before = now() + interval '90 min'")
    assert re.search(r"in 1 h (29|30) min", ada.get(f"/orders/{order_id}").text)
    assert act(ada, order_id, "retry").status_code == 303
    assert practice.rows("SELECT FROM owed WHERE not_before <= now()")
    assert last_event(practice, order_id)["detail"]["by"] == "ada"


@pytest.mark.parametrize("foreign", ["", "0" * 64])
def test_form_of_another_session_does_nothing(board: Running, ada: httpx.Client, foreign: str) -> None:
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    answer = ada.post(f"/orders/{order_id}/cancel", data={"form_token": foreign, "why": "x"})
    assert answer.status_code == 403
    assert ada.post("/lanes/bandwidth/submit/pause", data={"form_token": foreign, "why": "x"}).status_code == 403
    assert ada.post("/logout", data={"form_token": foreign}).status_code == 403
    assert board.practice.order(order_id)["state"] == "ACCEPTED"


def test_lanes_are_paused_and_resumed_by_name(board: Running, ada: httpx.Client) -> None:
    practice = board.practice
    assert change_lane(ada, "pause", why="maintenance").status_code == 303
    (pause,) = practice.rows("SELECT * FROM pauses")
    assert (pause["paused_by"], pause["why"]) == ("ada", "maintenance")
    (order_id,) = take_in(practice, an_order("crm-7"))
    assert "paused by ada" in ada.get("/").text
    assert "paused by ada" in ada.get(f"/orders/{order_id}").text
    assert change_lane(ada, "resume", why="").status_code == 409
    assert change_lane(ada, "resume", why="over").status_code == 303
    (pause,) = practice.rows("SELECT * FROM pauses")
    assert (pause["resumed_by"], pause["resumed_why"]) == ("ada", "over")


def change_lane(client: httpx.Client, change: str, seen: str | None = None, **fields: str) -> httpx.Response:
    """Send the form of the lane `submit`, as it is now or as it was `seen`."""
    seen = pause_seen(client) if seen is None else seen
    data = {"form_token": form_token(client), "pause_id": seen, **fields}
    return client.post(f"/lanes/bandwidth/submit/{change}", data=data)


def pause_seen(client: httpx.Client) -> str:
    """What the form of the lane says about the last pause."""
    form = re.search(
        r'action="/lanes/bandwidth/submit/.*?name="pause_id" value="(\d+)"', client.get("/").text, re.DOTALL
    )
    assert form
    return form[1]


def test_late_form_does_not_resume_another_persons_pause(board: Running, ada: httpx.Client) -> None:
    """Nor does one that arrives twice. The page says whose pause it is."""
    practice = board.practice
    change_lane(ada, "pause", why="maintenance")
    seen = pause_seen(ada)
    assert change_lane(ada, "resume", seen, why="over").status_code == 303
    assert change_lane(ada, "resume", seen, why="over").status_code == 303, "it was done, and nothing more is"
    pause_as(practice, "grace", "they buy twice")
    answer = change_lane(ada, "resume", seen, why="over")
    assert answer.status_code == 409
    assert "was paused by grace" in answer.text
    (pause,) = practice.rows("SELECT paused_by FROM pauses WHERE resumed_at IS NULL")
    assert pause["paused_by"] == "grace"
    assert change_lane(ada, "resume", "", why="over").status_code == 409, "a form from nowhere"


def test_late_form_does_not_pause_again(board: Running, ada: httpx.Client) -> None:
    practice = board.practice
    seen = pause_seen(ada)
    assert change_lane(ada, "pause", seen, why="maintenance").status_code == 303
    assert change_lane(ada, "pause", seen, why="maintenance").status_code == 303, "it is done, and nothing more is"
    practice.db.execute("UPDATE pauses SET resumed_at = now(), resumed_by = 'grace'")
    answer = change_lane(ada, "pause", seen, why="maintenance")
    assert answer.status_code == 409
    assert "was resumed by grace" in answer.text
    assert practice.rows("SELECT FROM pauses WHERE resumed_at IS NULL") == []
    elsewhere = {"form_token": form_token(ada), "why": "x", "pause_id": "0"}
    assert ada.post("/lanes/none/submit/pause", data=elsewhere).status_code == 409


def pause_as(practice: Practice, by: str, why: str) -> None:
    practice.db.execute(
        "INSERT INTO pauses (carrier, lane, paused_by, why) VALUES ('bandwidth', 'submit', %s, %s)", (by, why)
    )


def test_alarm_that_was_raised_again_is_not_put_away(board: Running, ada: httpx.Client) -> None:
    """What nobody has seen stays; who has put an alarm away is stored and shown."""
    practice = board.practice
    practice.db.execute("INSERT INTO alarms (what, subject, detail) VALUES ('bought_twice', 'crm-7', 'two numbers')")
    (alarm,) = practice.rows("SELECT alarm_id FROM alarms")

    def put_away(times: str) -> httpx.Response:
        data = {"form_token": form_token(ada), "times": times}
        return ada.post(f"/alarms/{alarm['alarm_id']}/clear", data=data)

    assert 'name="times" value="1"' in ada.get("/").text
    assert put_away("1").status_code == 303
    assert put_away("1").status_code == 303, "it is done, and nothing more is"
    (stored,) = practice.rows("SELECT cleared_by FROM alarms WHERE cleared_at IS NOT NULL")
    assert stored["cleared_by"] == "ada"
    assert re.search("bought_twice about crm-7: by ada", ada.get("/").text)

    practice.db.execute("UPDATE alarms SET times = 2, last_at = now(), cleared_at = NULL")  # as `raise_alarm` does
    answer = put_away("1")
    assert answer.status_code == 409
    assert "has happened again" in answer.text
    assert "put away before by ada" in answer.text
    assert practice.rows("SELECT FROM alarms WHERE cleared_at IS NULL")

    practice.db.execute("UPDATE alarms SET cleared_at = now(), cleared_by = 'grace'")
    assert "was put away by grace" in put_away("1").text
    practice.db.execute("DELETE FROM alarms")
    assert "is gone" in put_away("2").text
    for nowhere in (2**63, 2**70, 0, -1):
        answer = ada.post(f"/alarms/{nowhere}/clear", data={"form_token": form_token(ada), "times": "1"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_address_of_an_action_leads_to_its_page(board: Running, ada: httpx.Client) -> None:
    """A refusal is shown under it, and somebody may load it again."""
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    refused = act(ada, order_id, "park", why="")
    assert refused.status_code == 409
    assert f'data-page="/orders/{order_id}"' in refused.text
    for path, leads_to in (
        (f"/orders/{order_id}/park", f"/orders/{order_id}"),
        ("/lanes/bandwidth/submit/resume", "/"),
        ("/alarms/1/clear", "/"),
    ):
        answer = ada.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


def test_cancel_without_the_key_does_not_reach_the_carrier(practice: Practice) -> None:
    """The order was not sent when this was checked, and is at the carrier when it is carried out."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order("crm-7"))
            before = await services.ledger.history.story(order_id)
            await record_event(services.ledger, order_id, SubmissionBegun())
            await record_event(services.ledger, order_id, Acknowledged(CarrierOrderId("b-1")))
            with pytest.raises(ActionRefused, match="has just moved, and is OPEN now"):
                await carry_out(services.orders, before, Action.CANCEL, {"why": "not needed"}, by="ada")
            order = practice.order(order_id)
            assert (order["state"], order["cancel_asked_at"]) == ("OPEN", None)

    asyncio.run(whole())


async def purge(practice: Practice) -> None:
    """Archive and purge every order that has ended."""
    async with practice.opened() as services:
        archive = services.ledger.archive
        practice.pass_time(days=60)
        practice.db.execute("DELETE FROM receipts")
        practice.db.execute("DELETE FROM owed WHERE lane = 'ask'")
        assert await archive.copy(timedelta(days=31))
        practice.pass_time(minutes=11)
        await archive.remove()
        assert await archive.purge(timedelta(days=31))


@pytest.mark.parametrize("action", ["park", "close", "send-again", "cancel", "retry", "notify"])
def test_nothing_can_be_done_with_an_order_whose_story_is_purged(
    board: Running, ada: httpx.Client, action: str
) -> None:
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    board.work()
    version = str(board.practice.order(order_id)["version"])
    asyncio.run(purge(board.practice))
    data = {"form_token": form_token(ada), "why": "x", "key": "crm-7", "version": version}
    answer = ada.post(f"/orders/{order_id}/{action}", data=data)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text


def test_fault_of_ours_is_a_page(board: Running, ada: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the traceback, which is in the log."""

    def fail(*_: object, **__: object) -> None:
        raise IndexError("tuple index out of range")

    monkeypatch.setattr(routes, "order_page", fail)
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    answer = ada.get(f"/orders/{order_id}")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "it was logged" in answer.text
    assert "tuple index" not in answer.text


def test_overdue_orders_and_alarms_come_first(board: Running, ada: httpx.Client) -> None:
    practice = board.practice
    (order_id,) = take_in(practice, an_order("crm-7"))
    practice.db.execute(
        "INSERT INTO alarms (what, subject, order_id, detail) VALUES ('overdue', %s, %s, 'due long')",
        (str(order_id), order_id),
    )
    text = ada.get("/").text
    assert text.index("Overdue: unfinished for too long") < text.index("Alarms") < text.index("Orders by state")
    (alarm,) = practice.rows("SELECT alarm_id FROM alarms")
    data = {"form_token": form_token(ada), "times": "1"}
    assert ada.post(f"/alarms/{alarm['alarm_id']}/clear", data=data).status_code == 303
    assert "Nothing needs a person" in ada.get("/").text


def test_unknown_orders_and_paths_are_pages(board: Running, ada: httpx.Client) -> None:
    for path in ("/orders/01a200ff-5849-7019-8b02-d36a8282df6c", "/orders/none"):
        answer = ada.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


def test_stream_says_when_the_order_changes(board: Running, ada: httpx.Client) -> None:
    practice = board.practice
    (order_id,) = take_in(practice, an_order("crm-7"))
    with ada.stream("GET", f"/orders/{order_id}/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        threading.Timer(1.5, lambda: practice.db.execute("UPDATE owed SET attempts = attempts + 1")).start()
        assert next(line for line in lines if line.startswith("event: ")) == "event: changed"


def stream_of(page: str) -> str:
    """Return the address of a page's stream, as its script finds it."""
    found = re.search(r'data-live="([^"]+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize("path", ["/", "/orders/{order_id}"])
def test_stream_says_what_changed_before_it_was_opened(
    board: Running, ada: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_SILENCE_S", 600.0)  # after this time it says so in any case
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    page = ada.get(path.format(order_id=order_id)).text
    board.practice.db.execute("INSERT INTO alarms (what, subject, detail) VALUES ('overdue', 'crm-7', 'due long')")
    board.practice.db.execute("UPDATE owed SET not_before = not_before + interval '1 day'")
    time.sleep(2.1)  # what was read is shown for so long
    with ada.stream("GET", stream_of(page)) as answer:
        assert next(line for line in answer.iter_lines() if line.startswith("event: ")) == "event: changed"


def test_overview_shows_at_once_what_its_operator_has_done(board: Running, ada: httpx.Client) -> None:
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    assert "Nothing needs a person" in ada.get("/").text
    assert act(ada, order_id, "park", why="unclear").status_code == 303
    assert "Nothing needs a person" not in ada.get("/").text


def test_stream_does_not_hold_up_a_stop(board: Running, ada: httpx.Client) -> None:
    with ada.stream("GET", "/live") as answer:
        next(answer.iter_lines())
        board.stop()


def test_operators_name_alone_is_no_way_in(board: Running, ledger_url: str) -> None:
    """A second operator acts under his own name."""
    grace = make_token(ledger_url, "grace", "operator")
    (order_id,) = take_in(board.practice, an_order("crm-7"))
    with board.client(**{"Sec-Fetch-Site": "same-origin"}) as client:
        client.post("/login", data={"token": grace})
        assert act(client, order_id, "cancel", why="no").status_code == 303
    assert last_event(board.practice, order_id)["detail"]["by"] == "grace"


def test_streams_of_one_operator_leave_places_to_others(practice: Practice, token: str) -> None:
    """A place is free again when its page is closed."""
    with running_board(practice, BoardPolicy(streams_each=1)) as board, board.client(**SAME_ORIGIN) as ada:
        ada.post("/login", data={"token": token})
        with ada.stream("GET", "/live") as first:
            assert first.status_code == 200
            assert ada.get("/live").status_code == 503
        deadline = time.monotonic() + 90
        while is_full(ada):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def is_full(client: httpx.Client) -> bool:
    with client.stream("GET", "/live") as answer:
        return answer.status_code == 503
