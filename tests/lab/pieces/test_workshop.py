"""So many at a time, in order, and also for who has left."""

import asyncio

from tidegate.lab.pieces.client import ask
from tidegate.lab.pieces.service import Service
from tidegate.lab.pieces.workshop import Workshop
from tidegate.lab.stage import until


def test_as_many_as_there_are_places_in_the_order_of_coming():
    async def work():
        begun, go_on = [], asyncio.Event()

        def job(number):
            async def run():
                begun.append(number)
                await go_on.wait()

            return run

        with Workshop(2) as workshop:
            async with asyncio.TaskGroup() as group:
                for number in range(5):
                    group.create_task(workshop.work(job(number)))
                await until(lambda: len(begun) == 2 and workshop.waiting == 3, "two are worked on")
                first = list(begun)
                go_on.set()
        return first, begun

    assert asyncio.run(work()) == ([0, 1], [0, 1, 2, 3, 4])


def test_who_has_left_is_worked_for():
    async def work():
        done = []

        async def job():
            done.append(True)

        with Workshop(1) as workshop:
            leaver = asyncio.ensure_future(workshop.work(job))  # noqa: TID251 - cancelled at once
            await asyncio.sleep(0)
            leaver.cancel()
            await until(lambda: bool(done), "it is done all the same")

    asyncio.run(work())


def test_a_service_takes_what_each_request_takes():
    async def serve():
        taken = []

        def takes_s(request):
            taken.append(request.target)
            return 0.0

        with Workshop(1) as workshop:
            async with Service(workshop.handler(takes_s)) as service:
                assert (await ask(service.address, "/a")).is_served
        return taken

    assert asyncio.run(serve()) == ["/a"]


def test_its_end_drops_what_waits():
    async def work():
        with Workshop(1) as workshop:
            waiting = [asyncio.ensure_future(workshop.work(asyncio.Event().wait)) for _ in range(3)]  # noqa: TID251
            await until(lambda: workshop.waiting == 2, "two wait")
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(one, asyncio.CancelledError) for one in asyncio.run(work()))
