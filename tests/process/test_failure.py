import pytest

from tidegate.process.failure import EXIT_FAILED, EXIT_INVALID, StartError, in_one_line, report


def test_a_reason_is_one_line_whatever_it_was_made_of():
    assert str(StartError("cannot listen:\n  in  use\n")) == "cannot listen: in use"


def test_it_says_how_to_exit():
    assert StartError("x").exit_code == EXIT_FAILED == 1
    assert StartError("x", EXIT_INVALID).exit_code == 3


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StartError("port in use"), "port in use"),
        (FileNotFoundError(2, "No such file", "/x"), "[Errno 2] No such file: '/x'"),
        (ValueError("two\n lines"), "two lines"),
        (ValueError(), "ValueError:"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_errors_in_one_line(error, line):
    assert in_one_line(error) == line


def test_a_fault_of_the_program_says_where():
    with pytest.raises(KeyError) as caught:
        {}["surprise"]
    line = in_one_line(caught.value)
    assert line.startswith("KeyError: 'surprise' (")
    assert "test_failure.py:" in line


def test_what_ends_the_supervisor_is_one_line_and_a_code(capsys):
    assert report(StartError("no such\nlistener", 3)) == 3
    assert report(KeyError("tide")) == 1
    assert capsys.readouterr().err.splitlines() == [
        "tidegate: no such listener",
        "tidegate: the supervisor failed: KeyError: 'tide'",
    ]
