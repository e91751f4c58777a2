"""Unknown secrets are held back by address; whoever has a valid one is not."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from number_orders.receiver.attempts import Attempts, TooManyAttempts, client_of
from number_orders.receiver.rate import RequestRate

RATE = RequestRate(per_s=0.5, burst=3)
HERE, ELSEWHERE = "198.51.100.1", "198.51.100.2"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Door:
    """Attempts, and what is asked of the ledger."""

    def __init__(self, *, addresses_max: int = 100) -> None:
        self.clock = Clock()
        self.attempts = Attempts(RATE, self.clock, addresses_max=addresses_max)
        self.valid = {"good"}
        self.asked: list[str] = []

    async def show(self, secret: str, address: str | None = HERE) -> str | None:
        return await self.attempts.look_up(secret, self.finder(secret), address=address)

    def finder(self, secret: str) -> Callable[[], Awaitable[str | None]]:
        async def find() -> str | None:
            self.asked.append(secret)
            return f"owner of {secret}" if secret in self.valid else None

        return find


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def use_up(door: Door) -> None:
    for index in range(3):
        assert await door.show(f"bad-{index}") is None


def test_unknown_secrets_are_looked_up_as_often_as_the_rate_allows() -> None:
    async def work() -> None:
        door = Door()
        await use_up(door)
        with pytest.raises(TooManyAttempts) as held:
            await door.show("bad-3")
        assert held.value.retry_after == "2"
        assert "bad-3" not in door.asked
        assert await door.show("bad-3", ELSEWHERE) is None
        door.clock.now = 2.0
        assert await door.show("bad-4") is None
        with pytest.raises(TooManyAttempts):
            await door.show("bad-5")

    run(work())


def test_secret_that_was_valid_is_served_whatever_its_address_has_tried() -> None:
    """Until it is not valid any more. A new one has to wait as an unknown one does."""

    async def work() -> None:
        door = Door()
        assert await door.show("good") == "owner of good"
        await use_up(door)
        for _ in range(9):
            assert await door.show("good") == "owner of good"
        door.valid = {"new"}
        assert await door.show("good") is None
        with pytest.raises(TooManyAttempts):
            await door.show("new")
        door.clock.now = 6.0
        assert await door.show("new") == "owner of new"

    run(work())


def test_valid_secrets_cost_no_attempt() -> None:
    async def work() -> None:
        door = Door()
        door.valid = {str(index) for index in range(50)}
        assert all([await door.show(str(index)) for index in range(50)])
        await use_up(door)

    run(work())


def test_same_unknown_secret_is_asked_about_once_in_some_seconds() -> None:
    async def work() -> None:
        door = Door()
        for _ in range(20):
            assert await door.show("bad") is None
        assert door.asked == ["bad"]
        door.clock.now = 5.0
        assert await door.show("bad") is None
        assert door.asked == ["bad", "bad"]

    run(work())


def test_many_at_once_are_counted_before_they_are_answered() -> None:
    async def work() -> None:
        door = Door()
        shown = await asyncio.gather(*(door.show(f"bad-{n}") for n in range(20)), return_exceptions=True)
        assert sum(isinstance(one, TooManyAttempts) for one in shown) == 17
        assert len(door.asked) == 3

    run(work())


def test_ledger_that_is_away_costs_no_attempt() -> None:
    async def away() -> str | None:
        raise ConnectionError

    async def work() -> None:
        door = Door()
        for _ in range(9):
            with pytest.raises(ConnectionError):
                await door.attempts.look_up("good", away, address=HERE)
        assert await door.show("good") == "owner of good"

    run(work())


def test_memory_is_bounded() -> None:
    async def work() -> None:
        door = Door(addresses_max=5)
        for index in range(50):
            await door.show(f"bad-{index}", f"198.51.100.{index}")
        assert door.attempts.addresses == 5

    run(work())


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("", ""),
        ("x" * 500, "x" * 100),
    ],
)
def test_one_client_is_one_name_whatever_it_can_choose_of_its_address(address: str, client: str) -> None:
    assert client_of(address) == client
