from tests.integration.fulfilment.practice import *

def test_plain(practice):
    async def go():
        async with practice.opened() as room:
            (one,) = await accept(room, an_order(notify={"task":"crm.t","queue":"q"}))
            await live(practice, room)
            print(practice.order(one), practice.story(one))
            print(practice.herald.kept)
            assert practice.untrue() == []
    run(go())

def test_lost(practice):
    async def go():
        async with practice.opened() as room:
            practice.carrier.fault("drop_after", times=1, **POST)
            (one,) = await accept(room)
            await live(practice, room)
            print(practice.story(one))
            assert practice.untrue() == []
    run(go())
