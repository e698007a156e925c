import signal

import pytest

from tidegate.profile.ctrl_c import CtrlC


def test_the_first_is_noted_the_second_raised_and_afterwards_all_is_as_before():
    before = signal.getsignal(signal.SIGINT)
    with CtrlC() as ctrl_c:
        assert not ctrl_c.is_pressed and repr(ctrl_c) == "<CtrlC not pressed>"
        signal.raise_signal(signal.SIGINT)
        assert ctrl_c.is_pressed
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyError), CtrlC():
        raise KeyError
    assert signal.getsignal(signal.SIGINT) is before
