"""A child process is heard, and ended with all below it."""

import asyncio
import sys

import pytest

from tidegate.lab.pieces.process import Child, below, lives, python_path
from tidegate.lab.stage import until
from tidegate.process.failure import StartError

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


def python(code):
    return Child([sys.executable, "-c", code], environment=python_path())


def test_lines_are_heard_one_by_one_and_the_rest_at_its_end():
    async def hear():
        child = python("print('one'); print('two', end='')")
        heard = [await child.line(30), await child.line(30), await child.line(30)]
        await child.end(30)
        return heard, child.has_ended

    assert asyncio.run(hear()) == (["one", "two", ""], True)


def test_silence_is_said():
    async def hear():
        child = python("import time; time.sleep(600)")
        try:
            await child.line(0.05)
        finally:
            await child.end(0)

    with pytest.raises(StartError, match=r"said nothing within 0.05 s"):
        asyncio.run(hear())


def test_the_end_takes_everything_below_with_it_that_does_not_end_by_itself():
    async def end():
        child = python(FAMILY)
        grandchild = int(await child.line(30))
        ((pid, began),) = below(child.pid)
        assert (pid, lives(pid, began), lives(pid, "0")) == (grandchild, True, False)
        await child.end(0)
        await until(lambda: not lives(pid, began), "the grandchild is gone")
        return child.has_ended

    assert asyncio.run(end())


def test_one_that_is_killed_is_gone_at_once():
    async def kill():
        child = python("import time; print('there', flush=True); time.sleep(600)")
        assert await child.line(30) == "there"
        assert child.cpu_s() >= 0
        child.kill()
        assert child.has_ended
        await child.end(0)
        return child.cpu_s()

    assert asyncio.run(kill()) == 0
