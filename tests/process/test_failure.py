from tidegate.process.failure import EXIT_FAILED, EXIT_INVALID, StartError


def test_a_reason_is_one_line_whatever_it_was_made_of():
    assert str(StartError("cannot listen:\n  in  use\n")) == "cannot listen: in use"


def test_it_says_how_to_exit():
    assert StartError("x").exit_code == EXIT_FAILED == 1
    assert StartError("x", EXIT_INVALID).exit_code == 3
