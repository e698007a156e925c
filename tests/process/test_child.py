import os
import select
import signal
import sys

import pytest

from tidegate.process.child import Child, describe_exit


def ended(child):
    assert select.select([child.pidfd], [], [], 20.0)[0], "still alive"
    return child.reap()


def test_end_is_told_by_the_pidfd_and_described():
    assert ended(Child.start_program("short", [sys.executable, "-c", "raise SystemExit(7)"], [])) == (
        "exited with code 7"
    )


def test_a_stopped_process_can_be_killed():
    child = Child.start_program("long", [sys.executable, "-c", "import time; time.sleep(60)"], [])
    child.signal(signal.SIGSTOP)
    child.kill()
    assert ended(child) == "killed by SIGKILL"
    child.kill()  # too late, and harmless


def test_it_has_its_own_group_so_that_ctrl_c_passes_it_by():
    child = Child.start_program("long", [sys.executable, "-c", "import time; time.sleep(60)"], [])
    try:
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    finally:
        child.kill()
        ended(child)


def test_only_named_descriptors_are_inherited():
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    look = f"""
import os
for fd in ({reader}, {writer}):
    try: os.fstat(fd); found = "open"
    except OSError: found = "closed"
    os.write({writer}, found.encode() + b" ")
"""
    ended(Child.start_program("look", [sys.executable, "-c", look], [writer]))
    assert os.read(reader, 100) == b"closed open "
    os.close(reader)
    os.close(writer)


def test_program_that_does_not_exist_is_an_error_at_once():
    with pytest.raises(FileNotFoundError):
        Child.start_program("absent", ["/no/such/program"], [])


def test_exits_in_words():
    assert describe_exit(0) == "exited with code 0"
    assert describe_exit(-11) == "killed by SIGSEGV"
    assert describe_exit(-99) == "killed by signal 99"
