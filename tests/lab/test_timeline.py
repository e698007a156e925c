"""Gauges on an even axis of time, and requests by when they ended."""

import asyncio

from tidegate.lab.stage import until
from tidegate.lab.timeline import STEP_S, Timeline, by_step, slowest_by_step
from tidegate.process.failure import StartError


def test_a_gauge_is_read_again_and_again_on_an_even_axis():
    async def read():
        timeline = Timeline()
        values = iter(range(1000))
        timeline.watch("count", lambda: next(values))
        await until(lambda: timeline.most("count") >= 3, "the gauge is read")
        timeline.close()
        return timeline.line("count", "blue", is_dashed=True), timeline.seconds

    line, seconds = asyncio.run(read())
    assert line.is_dashed
    assert sorted(line.values) == list(line.values)
    assert abs(len(line.values) * STEP_S - seconds) <= 1.0


def test_a_gauge_that_begins_later_has_nothing_before():
    async def read():
        timeline = Timeline()
        await until(lambda: timeline.seconds > 3 * STEP_S, "some steps have passed")
        timeline.watch("late", lambda: 7.0)
        await until(lambda: timeline.most("late") == 7, "the gauge is read")
        timeline.close()
        return timeline.line("late", "blue").values

    values = asyncio.run(read())
    assert values[0] == 0
    assert values[-1] == 7


def test_what_has_to_be_asked_keeps_its_last_answer():
    answers = [1.0, OSError("away"), StartError("away"), 4.0]

    async def answer():
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    async def read():
        timeline = Timeline()
        timeline.follow("asked", answer)
        await until(lambda: timeline.most("asked") == 4, "the last answer is read")
        timeline.close()
        return timeline.line("asked", "blue").values

    assert set(asyncio.run(read())) <= {0.0, 1.0, 4.0}


def test_marks_have_their_moment():
    async def mark():
        timeline = Timeline()
        timeline.mark("deploy")
        timeline.close()
        return timeline.marks

    ((at_s, text),) = asyncio.run(mark())
    assert text == "deploy"
    assert at_s >= 0


def test_what_was_before_the_beginning_is_forgotten():
    async def restart():
        timeline = Timeline()
        timeline.watch("always", lambda: 5.0)
        await until(lambda: timeline.seconds > 4 * STEP_S, "some steps have passed")
        timeline.mark("early")
        timeline.restart()
        assert (timeline.marks, timeline.most("always")) == ([], 0.0)
        await until(lambda: timeline.most("always") == 5, "the gauge is read again")
        timeline.close()
        return len(timeline.line("always", "blue").values) * STEP_S - timeline.seconds

    assert asyncio.run(restart()) <= STEP_S


def test_requests_are_counted_by_step_as_rates():
    assert by_step([0.1, 0.2, 0.6, 1.2, -1.0], 1.0, 0.5) == [4.0, 2.0]
    assert by_step([], 0.3, 0.5) == [0.0]
    assert by_step([0.99], 1.0, 0.25)[-1] == 4.0


def test_the_slowest_of_each_step_is_kept():
    assert slowest_by_step([(0.01, 0.002), (0.09, 0.005), (0.15, 0.001), (9.0, 0.003)], 0.3) == [5.0, 1.0, 3.0]
    assert slowest_by_step([], 0.05) == [0.0]
