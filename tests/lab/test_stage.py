"""A stage ends what was started on it, whatever ended the half."""

import asyncio
import os

import pytest

from tidegate.lab import stage as stages
from tidegate.lab.pieces.client import ask
from tidegate.lab.pieces.service import Answer
from tidegate.lab.stage import Length, Stage, until
from tidegate.process.failure import StartError


async def hello(_):
    return Answer(body=b"hello")


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_pieces_end_with_the_half_even_when_it_fails():
    async def play():
        try:
            async with Stage(Length.SHORT) as stage:
                service = await stage.service(hello)
                program = await stage.program("tidegate.lab.scenarios.limiter:worker", redis="", upstream="")
                assert (await ask(service.address)).body == b"hello"
                assert is_there(program.child.pid)
                folder = stage.folder
                await stage.program("tidegate.lab.nothing:nowhere")
        except StartError:
            return program.child.pid, folder, await ask(service.address)

    pid, folder, told = asyncio.run(play())
    assert not is_there(pid)
    assert not folder.exists()
    assert told.trouble == "ConnectionRefusedError"


def test_a_short_half_is_shorter():
    lengths = [Stage(length).seconds for length in (Length.SHORT, Length.USUAL, Length.FULL)]
    assert lengths == sorted(lengths)
    assert lengths[1] <= 10
    assert Stage().seconds == lengths[1]


def test_waiting_in_vain_says_for_what(monkeypatch):
    monkeypatch.setattr(stages, "PATIENCE_S", 0.05)
    with pytest.raises(StartError, match="in vain until the tide turns"):
        asyncio.run(until(lambda: False, "the tide turns"))
