"""Carriers' notices over HTTP: who is admitted, what is stored, and what is answered."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from number_orders.carriers.bandwidth.notices import BandwidthNotices
from number_orders.carriers.cm.notices import CMNotices
from number_orders.carriers.notices import NoticeAddresses
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.model import CarrierName
from number_orders.receiver.notices.credentials import BasicCredentials
from number_orders.receiver.notices.intake import NoticeIntake
from number_orders.receiver.notices.routes import NoticeLimits, NoticeSource, notice_router
from tests.integration.fulfilment.practice import RecordingBell
from tests.notice_server import serving

BANDWIDTH, CM = CarrierName("bandwidth"), CarrierName("cm")
OURS = ("us", "hush-hush-hush")
NOTICE = b"<Notification><OrderId>a8ef295b</OrderId><CustomerOrderId>ref-1</CustomerOrderId></Notification>"
GUID = "5f5c0000-0000-4000-8000-000000000001"
CALLBACK = b'{"guid": "%s", "status": "COMPLETED"}' % GUID.encode()


@dataclass
class Receiver:
    """A receiver, and a client of it."""

    http: httpx.AsyncClient
    addresses: NoticeAddresses
    bell: RecordingBell
    db: psycopg.Connection[DictRow]
    ledger: PostgresLedger

    async def post(self, path: str = "/notices/bandwidth", body: bytes = NOTICE, **more: Any) -> httpx.Response:
        more.setdefault("auth", OURS if path.endswith("bandwidth") else None)
        return await self.http.post(path, content=body, **more)

    def order_path(self, reference: str = "ref-1") -> str:
        address = self.addresses.of_order(CM, reference)
        assert address is not None
        return address.removeprefix(self.addresses.public_url)

    def stored(self) -> list[dict[str, Any]]:
        return self.db.execute("SELECT * FROM notices ORDER BY notice_id").fetchall()


@dataclass
class Opener:
    """Opens a receiver on a ledger of the test."""

    ledger_url: str
    limits: NoticeLimits = field(default_factory=NoticeLimits)

    def run(self, work: Callable[[Receiver], Coroutine[Any, Any, None]]) -> None:
        async def opened() -> None:
            async with self._receiver() as receiver:
                await work(receiver)

        asyncio.run(opened())

    @asynccontextmanager
    async def _receiver(self) -> AsyncIterator[Receiver]:
        bell = RecordingBell()
        with psycopg.connect(self.ledger_url, autocommit=True, row_factory=dict_row) as db:
            async with PostgresLedger.at(self.ledger_url, wait_s=60) as ledger:
                addresses: list[NoticeAddresses] = []

                def router(url: str) -> Any:
                    addresses.append(NoticeAddresses(url, b"s" * 32))
                    sources = [
                        NoticeSource(BANDWIDTH, BandwidthNotices(), BasicCredentials(*OURS)),
                        NoticeSource(CM, CMNotices(), addresses=addresses[0]),
                    ]
                    intake = NoticeIntake(ledger.notices, bell, asks_every=timedelta(seconds=5))
                    return notice_router(sources, lambda _: intake, limits=self.limits)

                async with serving(router) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
                    yield Receiver(http, addresses[0], bell, db, ledger)


@pytest.fixture
def opener(ledger_url: str) -> Opener:
    return Opener(ledger_url)


def test_the_first_request_is_challenged_and_the_second_stored(opener: Opener) -> None:
    async def work(receiver: Receiver) -> None:
        first = await receiver.post(auth=None)
        assert (first.status_code, receiver.stored()) == (401, [])
        assert first.headers["WWW-Authenticate"].startswith("Basic ")
        assert first.headers["Content-Type"] == "application/problem+json"
        assert (await receiver.post()).status_code == 202
        (row,) = receiver.stored()
        assert (row["carrier"], row["carrier_order_id"], row["reference"]) == ("bandwidth", "a8ef295b", "ref-1")
        assert (row["body"], row["trouble"]) == (NOTICE.decode(), None)

    opener.run(work)


@pytest.mark.parametrize("auth", [("us", "wrong"), ("them", OURS[1]), ("", "")])
def test_wrong_credentials_store_nothing(opener: Opener, auth: tuple[str, str]) -> None:
    async def work(receiver: Receiver) -> None:
        assert (await receiver.post(auth=auth)).status_code == 401
        assert receiver.stored() == []

    opener.run(work)


def test_many_wrong_credentials_are_not_even_looked_at(opener: Opener) -> None:
    """And the carrier's own notices come through meanwhile."""
    moments = [0.0]
    opener.limits = NoticeLimits(clock=lambda: moments[0])

    async def work(receiver: Receiver) -> None:
        answers = [(await receiver.post(auth=("us", f"guess {n}"))).status_code for n in range(20)]
        assert set(answers) == {401, 429}
        moments[0] = 1.0
        assert (await receiver.post()).status_code == 202
        assert (await receiver.post(auth=None)).status_code == 401

    opener.run(work)


def test_a_callback_is_stored_at_the_address_of_its_order_only(opener: Opener) -> None:
    async def work(receiver: Receiver) -> None:
        path = receiver.order_path()
        assert (await receiver.post(path, CALLBACK)).status_code == 202
        for wrong in (path[:-1], path + "x", path.replace("ref-1", "ref-2"), "/notices/cm/ref-1", "/notices/cm"):
            assert (await receiver.post(wrong, CALLBACK)).status_code == 404
        (row,) = receiver.stored()
        assert (row["carrier"], row["carrier_order_id"], row["reference"]) == ("cm", GUID, "ref-1")

    opener.run(work)


@pytest.mark.parametrize("body", [b"", b"not xml", b"\xff\xfe\x00", b"<a>" * 5000, os.urandom(3000)])
def test_what_cannot_be_read_is_kept_answered_202_and_raises_an_alarm(opener: Opener, body: bytes) -> None:
    async def work(receiver: Receiver) -> None:
        assert (await receiver.post(body=body)).status_code == 202
        assert (await receiver.post(receiver.order_path(), body)).status_code == 202
        assert [bool(row["trouble"]) for row in receiver.stored()] == [True, True]
        assert [row["reference"] for row in receiver.stored()] == [None, "ref-1"]
        active = await receiver.ledger.alarms.active()
        assert {(alarm["what"], alarm["subject"]) for alarm in active} == {
            ("unreadable_notice", "bandwidth"),
            ("unreadable_notice", "cm"),
        }

    opener.run(work)


def test_a_body_that_is_too_long_is_refused(opener: Opener) -> None:
    opener.limits = NoticeLimits(bytes_max=1000)

    async def work(receiver: Receiver) -> None:
        async def in_chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 100

        assert (await receiver.post(body=b"x" * 1001)).status_code == 413
        assert (await receiver.http.post("/notices/bandwidth", content=in_chunks(), auth=OURS)).status_code == 413
        assert (await receiver.post(body=NOTICE)).status_code == 202
        assert len(receiver.stored()) == 1

    opener.run(work)


def test_a_carrier_above_its_rate_is_told_when_to_come_back(opener: Opener) -> None:
    opener.limits = NoticeLimits(per_second=5, clock=lambda: 0.0)  # all within one moment

    async def work(receiver: Receiver) -> None:
        answers = [await receiver.post() for _ in range(30)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert refused[0].headers["Retry-After"] == "1"
        assert (await receiver.post(receiver.order_path(), CALLBACK)).status_code == 202  # another carrier has its own

    opener.run(work)


def test_without_the_ledger_nothing_is_acknowledged(opener: Opener) -> None:
    """The rows are there for whatever was answered 202."""

    async def work(receiver: Receiver) -> None:
        receiver.db.execute("ALTER TABLE notices RENAME TO elsewhere")
        receiver.db.execute("CREATE VIEW notices AS SELECT 1")
        with_trouble = await receiver.post()
        receiver.db.execute("DROP VIEW notices")
        receiver.db.execute("ALTER TABLE elsewhere RENAME TO notices")
        assert with_trouble.status_code >= 500
        assert (await receiver.post()).status_code == 202
        assert len(receiver.stored()) == 1

    opener.run(work)


def test_notices_that_come_at_once_are_all_stored(opener: Opener) -> None:
    """A hundred different ones and a hundred copies of one."""

    async def work(receiver: Receiver) -> None:
        bodies = [NOTICE] * 100 + [NOTICE.replace(b"ref-1", b"ref-%d" % n) for n in range(2, 102)]
        posts: list[Awaitable[httpx.Response]] = [receiver.post(body=body) for body in bodies]
        assert {answer.status_code for answer in await asyncio.gather(*posts)} == {202}
        rows = receiver.stored()
        assert (len(rows), sum(row["copies"] for row in rows)) == (101, 200)

    opener.run(work)
