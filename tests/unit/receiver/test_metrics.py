"""`/metrics`: in Prometheus' format, for those who may, and read seldom."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from number_orders.ledger.metrics import Figure
from number_orders.orders.errors import LedgerUnavailable
from number_orders.receiver import problems
from number_orders.receiver.metrics import exposition, metrics_router

TOKEN = "0123456789abcdef0123456789abcdef"
FIGURES = (Figure("orders", ("bandwidth", "OPEN"), 3), Figure("dead_letters", (), 0))


class Reader:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False

    async def read(self) -> Sequence[Figure]:
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.is_away:
            raise LedgerUnavailable("gone")
        return FIGURES


def app_of(reader: Reader, *, token: str | None = None, is_open: bool = False) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.include_router(metrics_router(lambda _: reader, token=token, is_open=is_open, every_s=60))
    return app


async def ask(app: FastAPI, headers: dict[str, str] | None = None, *, times: int = 1) -> list[httpx.Response]:
    """Ask several times at once."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return list(await asyncio.gather(*(client.get("/metrics", headers=headers) for _ in range(times))))


def get(headers: dict[str, str] | None = None, *, token: str | None = None, is_open: bool = False) -> httpx.Response:
    (answer,) = asyncio.run(ask(app_of(Reader(), token=token, is_open=is_open), headers))
    return answer


def values(text: str) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_become_prometheus_text() -> None:
    shown = values(exposition(FIGURES).decode())
    assert shown == {
        "number_orders_ledger_up[]": 1,
        "number_orders_orders[('carrier', 'bandwidth'), ('state', 'OPEN')]": 3,
        "number_orders_dead_letters[]": 0,
    }


def test_without_a_ledger_that_is_all_that_is_said() -> None:
    assert values(exposition(None).decode()) == {"number_orders_ledger_up[]": 0}


@pytest.mark.parametrize("header", [None, "Bearer wrong", TOKEN, f"Basic {TOKEN}", "Bearer "])
def test_nobody_without_the_token_is_answered(header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert get(headers, token=TOKEN).status_code == get(headers).status_code == 401


def test_the_token_or_an_open_setting_is_enough() -> None:
    by_token = get({"Authorization": f"Bearer {TOKEN}"}, token=TOKEN)
    assert by_token.headers["Content-Type"].startswith("text/plain; version=")
    assert by_token.text == get(is_open=True).text
    assert "number_orders_orders" in by_token.text


def test_figures_are_read_once_in_a_while_for_everybody() -> None:
    reader = Reader()
    app = app_of(reader, is_open=True)
    assert [answer.text for answer in asyncio.run(ask(app, times=5))] == [exposition(FIGURES).decode()] * 5
    assert reader.asked == 1


def test_a_ledger_that_is_away_is_asked_as_seldom() -> None:
    reader = Reader()
    reader.is_away = True
    app = app_of(reader, is_open=True)
    for _ in range(2):
        answers = asyncio.run(ask(app, times=3))
        assert [values(answer.text) for answer in answers] == [{"number_orders_ledger_up[]": 0}] * 3
    assert reader.asked == 1
