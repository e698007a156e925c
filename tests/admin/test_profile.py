"""What is asked of workers, and what becomes of their answers; real workers are asked in tests/cli/test_profile.py."""

import asyncio
import os
import socket

import pytest
from pydantic import ValidationError
from tests.admin.views import view_of

from tidegate.admin.profile import ProfileRequest, Profiles
from tidegate.memory.region import Region
from tidegate.process import tasks
from tidegate.process.measurement_relay import answer


class Asked:
    """Stands for the supervisor: keeps what it was asked, and the ends to answer on."""

    def __init__(self):
        self.orders = []
        self.ends = []

    def send(self, message):
        self.orders.append((message.kind, message.worker, message.seconds))
        self.ends.append(socket.socket(fileno=os.dup(message.fd)))
        return True

    def answer(self, number, document):
        answer(self.ends[number].fileno(), document)

    def close(self):
        for one in self.ends:
            one.close()


@pytest.fixture
def asked():
    one = Asked()
    yield one
    one.close()


@pytest.fixture
def profiles(asked):
    region = Region.create(2)
    yield Profiles(view_of(region, ask_to_measure=asked.send))
    region.close()


async def stays():
    return False


async def leaves():
    return True


def run(profiles, *, is_gone=stays, meanwhile=lambda: None, **order):
    async def both():
        running = tasks.start(profiles.run(ProfileRequest(**order), is_gone), "profile")
        await asyncio.sleep(0)
        meanwhile()
        return await running

    return asyncio.run(both())


def test_every_worker_is_asked_and_each_answer_is_told_beside_its_worker(profiles, asked):
    def both():
        asked.answer(1, {"a": 1})
        asked.answer(0, {"a": 0})

    told = run(profiles, kind="heap", seconds=2.0, meanwhile=both)
    assert asked.orders == [("heap", 0, 2.0), ("heap", 1, 2.0)]
    assert [(one["worker"], one["a"]) for one in told["workers"]] == [(0, 0), (1, 1)]


def test_only_who_is_named_is_asked_and_of_held_loops_the_supervisor(profiles, asked):
    run(profiles, kind="allocations", workers=[1], meanwhile=lambda: asked.answer(0, {}))
    run(profiles, kind="blocked", workers=[1], meanwhile=lambda: asked.answer(1, {}))
    assert asked.orders == [("allocations", 1, 0.0), ("blocked", 0, 0.0)]


def test_a_worker_that_dies_is_an_error_beside_the_answers_of_others(profiles, asked):
    def one_dies():
        asked.answer(0, {"a": 0})
        asked.ends[1].close()

    first, second = run(profiles, kind="heap", meanwhile=one_dies)["workers"]
    assert first["a"] == 0 and "ended meanwhile" in second["error"]


def test_unknown_workers_and_names_that_are_taken_are_refused(profiles, asked):
    with pytest.raises(LookupError, match="no worker 7; there are 0, 1"):
        run(profiles, kind="heap", workers=[7])

    async def twice():
        order = ProfileRequest(kind="blocked", attempt="a")
        first = tasks.start(profiles.run(order, stays), "profile")
        await asyncio.sleep(0)
        with pytest.raises(LookupError, match="'a' is under way"):
            await profiles.run(order, stays)
        asked.answer(0, {})
        await first

    asyncio.run(twice())


def test_an_attempt_that_is_ended_says_so_to_who_measures(profiles, asked):
    assert not profiles.end("a")

    def end():
        assert profiles.end("a")
        assert asked.ends[0].recv(1) == b"", "it hears the end"
        asked.answer(0, {"so": "far"})

    told = run(profiles, kind="heap", workers=[0], seconds=600.0, attempt="a", meanwhile=end)
    assert told["workers"][0]["so"] == "far"
    assert not profiles.end("a")


def test_who_asked_and_is_gone_ends_it(profiles, asked):
    assert run(profiles, kind="heap", seconds=600.0, is_gone=leaves) == {"workers": []}
    assert all(one.recv(1) == b"" for one in asked.ends)


@pytest.mark.parametrize("order", [{"kind": "cpu"}, {"kind": "heap", "seconds": 601}, {"kind": "heap", "seconds": -1}])
def test_what_cannot_be_measured_is_refused(order):
    with pytest.raises(ValidationError):
        ProfileRequest(**order)
