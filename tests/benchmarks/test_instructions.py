import pytest
from benchmarks.instructions import parse


def test_both_counters_are_read() -> None:
    text = "286542,,instructions:u,1000,100.00,,\n852456,,instructions:k,1000,100.00,,\n"
    counted = parse(text)
    assert (counted.user, counted.kernel) == (286_542, 852_456)


@pytest.mark.parametrize(
    "text",
    ["", "<not supported>,,instructions:u,0,100.00,,\n1,,instructions:k,0,100.00,,\n", "1,,instructions:u,1,1,,\n"],
)
def test_a_counter_that_did_not_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="perf"):
        parse(text)
