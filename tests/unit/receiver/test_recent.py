"""What many viewers look at is read once for all of them, and what is dear is read seldom."""

import asyncio

import pytest

from number_orders.receiver.recent import Recent


class Figure:
    """A figure that takes a while to read, and a clock that shows it."""

    def __init__(self, takes_s: float) -> None:
        self.now = 1000.0
        self.reads = 0
        self._takes_s = takes_s

    def clock(self) -> float:
        return self.now

    async def read(self) -> int:
        self.reads += 1
        self.now += self._takes_s
        await asyncio.sleep(0)
        return self.reads


@pytest.mark.parametrize(
    ("takes_s", "lasts_s"), [(0.001, 2.0), (0.2, 10.0), (5.0, 60.0)], ids=["cheap", "dear", "very dear"]
)
def test_figure_lasts_longer_the_dearer_it_is(takes_s: float, lasts_s: float) -> None:
    async def look() -> None:
        figure = Figure(takes_s)
        recent = Recent[int](2.0, 60.0, figure.clock)
        assert list(await asyncio.gather(recent.get(figure.read), recent.get(figure.read))) == [1, 1]
        figure.now += lasts_s * 0.99
        assert await recent.get(figure.read) == 1
        figure.now += lasts_s * 0.02
        assert await recent.get(figure.read) == 2

    asyncio.run(look())


def test_viewers_of_a_ledger_that_is_away_share_one_attempt() -> None:
    """They do not time out one after the other; the next viewer tries again."""

    async def look() -> None:
        attempts = 0

        async def fail() -> int:
            nonlocal attempts
            attempts += 1
            await asyncio.sleep(0.01)
            raise ConnectionError("away")

        recent = Recent[int](2.0, 60.0)
        outcomes = await asyncio.gather(*(recent.get(fail) for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in outcomes] == [ConnectionError] * 5
        assert attempts == 1
        with pytest.raises(ConnectionError):
            await recent.get(fail)
        assert attempts == 2

    asyncio.run(look())


def test_viewer_who_goes_away_does_not_end_the_reading_of_others() -> None:
    async def look() -> None:
        figure = Figure(0.1)
        recent = Recent[int](2.0, 60.0, figure.clock)
        first = asyncio.create_task(recent.get(figure.read))
        second = asyncio.create_task(recent.get(figure.read))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == 1

    asyncio.run(look())
