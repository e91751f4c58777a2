"""One poller serves all readers, each from its own version; trouble at the ledger ends no stream."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest

from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import OrderId
from number_orders.receiver.streams import EventStreams, TooManyReaders

ONE, TWO = OrderId(UUID(int=1)), OrderId(UUID(int=2))


class Story:
    """A ledger of events, as many of each order as it is told."""

    def __init__(self) -> None:
        self.latest = {ONE: 0, TWO: 0}
        self.asked: list[Mapping[OrderId, int]] = []
        self.away = False

    async def news(self, seen: Mapping[OrderId, int]) -> Sequence[Mapping[str, Any]]:
        self.asked.append(dict(seen))
        if self.away:
            raise LedgerUnavailable("away")
        return [
            {"order_id": order_id, "version": version}
            for order_id, after in seen.items()
            for version in range(after + 1, self.latest[order_id] + 1)
        ]


async def versions(streams: EventStreams, order_id: OrderId, after: int, wanted: int) -> list[int]:
    found: list[int] = []
    async with aclosing(streams.follow(order_id, after=after, heartbeat_s=0.2)) as groups:
        async for rows in groups:
            found += [row["version"] for row in rows]
            if len(found) >= wanted:
                break
    return found


def test_each_reader_gets_what_is_after_its_version() -> None:
    async def work() -> None:
        story = Story()
        story.latest = {ONE: 3, TWO: 1}
        streams = EventStreams(story.news, readers_max=9, poll_s=0.02)
        polling = asyncio.create_task(streams.run())
        found = await asyncio.gather(
            versions(streams, ONE, -1, 4), versions(streams, ONE, 2, 1), versions(streams, TWO, 0, 1)
        )
        assert list(found) == [[0, 1, 2, 3], [3], [1]]
        assert story.asked[0] == {ONE: -1, TWO: 0}, "one statement for all, from the earliest version of each order"
        assert streams.readers == 0
        asked = len(story.asked)
        await asyncio.sleep(0.1)
        assert len(story.asked) <= asked + 1, "nobody reads, and it asks on"
        polling.cancel()

    asyncio.run(work())


def test_later_events_arrive_once() -> None:
    async def work() -> None:
        story = Story()
        streams = EventStreams(story.news, readers_max=9, poll_s=0.02)
        polling = asyncio.create_task(streams.run())
        reading = asyncio.create_task(versions(streams, ONE, -1, 3))
        for latest in (1, 2):
            await asyncio.sleep(0.1)
            story.latest[ONE] = latest
        assert await reading == [0, 1, 2]
        polling.cancel()

    asyncio.run(work())


def test_ledger_that_is_away_ends_no_stream() -> None:
    async def work() -> None:
        story = Story()
        story.away = True
        streams = EventStreams(story.news, readers_max=9, poll_s=0.02)
        polling = asyncio.create_task(streams.run())
        reading = asyncio.create_task(versions(streams, ONE, -1, 1))
        await asyncio.sleep(0.1)
        assert not reading.done()
        story.away = False
        assert await reading == [0]
        polling.cancel()

    asyncio.run(work())


def test_silence_is_told_and_stop_ends_all() -> None:
    async def work() -> None:
        streams = EventStreams(Story().news, readers_max=9, poll_s=5)
        async with aclosing(streams.follow(ONE, after=0, heartbeat_s=0.01)) as groups:
            assert list(await anext(groups)) == []
            streams.close()
            with pytest.raises(StopAsyncIteration):
                await anext(groups)

    asyncio.run(work())


def test_readers_are_counted() -> None:
    async def work() -> None:
        streams = EventStreams(Story().news, readers_max=1, poll_s=5)
        async with aclosing(streams.follow(ONE, after=0, heartbeat_s=0.01)) as groups:
            await anext(groups)
            assert streams.is_full
            with pytest.raises(TooManyReaders):
                await anext(streams.follow(TWO, after=0, heartbeat_s=0.01))
        assert not streams.is_full

    asyncio.run(work())


def test_one_owner_leaves_readers_to_others() -> None:
    async def work() -> None:
        streams = EventStreams(Story().news, readers_max=9, readers_per_owner=2)
        open_ones = [streams.follow(ONE, after=-1, heartbeat_s=0.01, owner="crm") for _ in range(2)]
        for one in open_ones:
            assert await anext(one) == ()
        assert streams.is_full_for("crm")
        assert not streams.is_full_for("shop")
        assert not streams.is_full
        with pytest.raises(TooManyReaders):
            await anext(streams.follow(ONE, after=-1, heartbeat_s=0.01, owner="crm"))
        other = streams.follow(ONE, after=-1, heartbeat_s=0.01, owner="shop")
        assert await anext(other) == ()
        await open_ones[0].aclose()
        assert not streams.is_full_for("crm")
        for one in (*open_ones, other):
            await one.aclose()

    asyncio.run(work())
