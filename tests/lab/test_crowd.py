"""Two loads: who was served, who was lost, who was refused."""

import asyncio

from tidegate.lab.crowd import Crowd
from tidegate.lab.pieces.client import Load
from tidegate.lab.pieces.service import Answer
from tidegate.lab.stage import Length, Stage


async def answer(request):
    return Answer(429 if request.target == "/greedy" else 200)


def test_others_and_culprits_are_counted_apart():
    async def play():
        async with Stage(Length.SHORT) as stage:
            stage.seconds = 0.3
            service = await stage.service(answer)
            others, culprits = Load(service.address, per_s=20), Load(service.address, per_s=50, target="/greedy")
            crowd = Crowd(stage, others, culprits)
            await crowd.run("they come")
            return crowd.half(("others", "greedy"))

    half = asyncio.run(play())
    assert half.figures == {"others": 6, "lost": 0, "culprits": 12, "served": 0, "refused": 12}
    assert [line.name for line in half.panels[0].lines] == ["others, served", "others, lost", "greedy, served"]
    assert sum(half.panels[0].lines[0].values) > 0
    assert [mark.text for mark in half.marks] == ["they come"]


def test_who_is_not_answered_is_lost():
    async def play():
        async with Stage(Length.SHORT) as stage:
            stage.seconds = 0.1
            service = await stage.service(answer)
            service.drop()
            nobody = Load("127.0.0.1:1", per_s=30)
            crowd = Crowd(stage, nobody, Load(service.address, per_s=30))
            await crowd.run("they come")
            return crowd.half(("others", "greedy")).figures

    figures = asyncio.run(play())
    assert (figures["others"], figures["lost"]) == (3, 3)
    assert figures["served"] == 3
