"""The stack of a real process, whatever it does."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from tests.process.gateway import eventually

from tidegate.observe.stalls import parse_stack
from tidegate.process.child import Child
from tidegate.process.stack_pipe import SIGNAL, StackPipe

ANSWERS = """
import sys, time
from tidegate.process.stack_pipe import answer_with_stacks
answer_with_stacks(int(sys.argv[1]))
def hangs(what):
    print("here", flush=True)
    {"sleep": lambda: time.sleep(60), "busy": busy, "c": lambda: sum(range(1 << 40))}[what]()
def busy():
    while True:
        pass
hangs(sys.argv[2])
"""


@pytest.fixture
def pipe():
    one = StackPipe()
    yield one
    one.close()
    one.close()


@contextlib.contextmanager
def hanging(pipe, what):
    process = subprocess.Popen(
        [sys.executable, "-c", ANSWERS, str(pipe.writer_fd), what], pass_fds=[pipe.writer_fd], stdout=subprocess.PIPE
    )
    pipe.handed_on()
    child = Child("hangs", process.pid, None, process)
    try:
        assert process.stdout.readline() == b"here\n"
        yield child
    finally:
        process.kill()
        child.reap()
        process.stdout.close()


def stack_of(pipe, child):
    pipe.ask(child)
    text = bytearray()

    def whole():
        text.extend(pipe.take())
        return text.endswith(b"in <module>\n")

    eventually(whole, "the stack comes")
    return [frame.function for frame in parse_stack(bytes(text))]


@pytest.mark.parametrize(("what", "innermost"), [("sleep", "<lambda>"), ("busy", "busy"), ("c", "<lambda>")])
def test_process_that_hangs_says_where(pipe, what, innermost):
    with hanging(pipe, what) as child:
        expected = [innermost, "hangs", "<module>"]
        eventually(lambda: stack_of(pipe, child) == expected, "it hangs there")
        assert stack_of(pipe, child) == expected


def test_stopped_process_answers_when_it_goes_on_and_old_answers_are_not_taken_for_new_ones(pipe):
    with hanging(pipe, "sleep") as child:
        child.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        pipe.ask(child)
        assert pipe.take() == b""
        child.signal(signal.SIGCONT)
        assert stack_of(pipe, child)[-1] == "<module>"


def test_nobody_waits_for_a_full_pipe_and_it_is_used_again(pipe):
    with hanging(pipe, "busy") as child:
        for _ in range(3000):
            child.signal(SIGNAL)
        assert eventually(pipe.take, "something came")
        assert stack_of(pipe, child)[-2:] == ["hangs", "<module>"]


def test_killed_process_leaves_what_it_wrote(pipe):
    with hanging(pipe, "sleep") as child:
        pipe.ask(child)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert all(frame.function in ("<lambda>", "hangs", "<module>") for frame in parse_stack(pipe.take()))
        assert pipe.take() == b""


def test_process_without_a_handler_ignores_the_signal(pipe):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child = Child("has no handler", process.pid, None, process)
    pipe.ask(child)
    process.stdin.write(b"\n")
    process.stdin.close()
    assert child.reap() == "exited with code 0"
