"""A function in a process of its own."""

import asyncio
import os
import subprocess
import sys

import pytest

from tidegate.lab.pieces.process import python_path
from tidegate.lab.pieces.program import Program
from tidegate.process.failure import StartError

HERE = "tests.lab.pieces.test_program"


async def tells(ready, *, number):
    ready(number=number, pid=os.getpid())
    await asyncio.Event().wait()


async def fails(ready):
    raise ZeroDivisionError


def test_it_runs_with_its_arguments_elsewhere_and_ends_with_the_block():
    async def run():
        async with Program(f"{HERE}:tells", {"number": 7}) as program:
            facts = program.facts
            assert facts["pid"] == program.child.pid != os.getpid()
        return facts["number"], program.child.has_ended

    assert asyncio.run(run()) == (7, True)


def test_one_that_does_not_start_is_said():
    async def run():
        async with Program(f"{HERE}:fails", {}):
            raise AssertionError

    with pytest.raises(StartError, match="does not start: Traceback"):
        asyncio.run(run())


def test_it_ends_when_whoever_started_it_is_gone():
    argv = [sys.executable, "-P", "-m", "tidegate.lab.pieces.program", f"{HERE}:tells", '{"number": 1}']
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=python_path()) as process:
        assert process.stdout.readline().startswith(b'{"number": 1')
        process.stdin.close()
        assert process.wait(60) == 0
