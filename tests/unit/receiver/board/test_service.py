"""The overview leaves connections to others, and pages places."""

import asyncio

from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.board.service import Board, StreamPlaces


def test_overview_leaves_connections_to_intake() -> None:
    async def look() -> None:
        board, under_way, most = Board(BoardPolicy()), 0, 0

        async def read() -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1

        await asyncio.gather(*(board.read(read()) for _ in range(10)))
        assert most == 2

    asyncio.run(look())


def test_places_of_streams_are_shared() -> None:
    """One operator does not take them all, and a place is free again at its stream's end."""
    places = StreamPlaces(in_all=5, each=3)
    assert [places.take("ada") for _ in range(4)] == [True, True, True, False]
    assert [places.take("grace") for _ in range(3)] == [True, True, False]
    places.give_back("ada")
    assert places.take("grace")
    assert not places.take("ada")
