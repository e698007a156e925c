import subprocess
import sys
import time

import pytest

from tidegate.routing.regex import compile_regex


def test_spans_are_byte_offsets_whatever_the_bytes() -> None:
    regex = compile_regex("é(?P<n>[0-9]+)$")
    found = regex.search(b"\xff" + "é12".encode())
    assert found is not None and found.span(regex.groupindex[b"n"]) == (3, 5)


def test_dollar_is_the_end_and_not_a_line_feed_before_it() -> None:
    assert compile_regex("^/a$").search(b"/a\n") is None


@pytest.mark.parametrize("text", ["(?=a)", "(a", r"(a)\1", "(?<!a)b"])
def test_what_cannot_run_in_linear_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RE2 does not take the regex"):
        compile_regex(text)


def test_a_regex_that_explodes_elsewhere_is_linear_here() -> None:
    regex = compile_regex("^(a+)+$")  # 2^n steps by backtracking
    begin = time.process_time()
    assert regex.search(b"a" * 100_000 + b"b") is None
    assert time.process_time() - begin < 5


def test_worker_loads_re2_with_the_first_regex_only() -> None:
    program = (
        "import sys, tidegate.process.worker, tidegate.edge.server\n"
        "found = {'re2', 'email', 'http'} & set(sys.modules)\n"
        "assert not found, found\n"
        "from tidegate.routing.regex import compile_regex\n"
        "compile_regex('a')\n"
        "assert 're2' in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
