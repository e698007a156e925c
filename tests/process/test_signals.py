import os
import select
import signal

import pytest

from tidegate.process.signals import SignalInbox


@pytest.fixture
def inbox():
    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    one = SignalInbox(numbers)
    yield one
    one.close()
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_signals_are_read_as_numbers(inbox):
    assert inbox.receive() == []
    os.kill(os.getpid(), signal.SIGUSR1)
    assert select.select([inbox], [], [], 5.0)[0]
    assert inbox.receive() == [signal.SIGUSR1]
    os.kill(os.getpid(), signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert select.select([inbox], [], [], 5.0)[0]
    assert sorted(inbox.receive()) == [signal.SIGUSR1, signal.SIGUSR2]
