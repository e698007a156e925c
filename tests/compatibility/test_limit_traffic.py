"""What lua-resty-limit-traffic answered is what our limits answer, but where they are better on purpose.

``tests/vectors/limit_traffic.json`` has sequences of calls with random numbers and what that library said to them;
``limit_traffic_differences.json`` has each answer of ours that is another one, with the reason.
"""

import json
from pathlib import Path

import pytest
from tests.compatibility.limit_traffic import Answer, Sequence

VECTORS = Path(__file__).parents[1] / "vectors"
SEQUENCES = json.loads((VECTORS / "limit_traffic.json").read_text())["sequences"]
DIFFERENCES = json.loads((VECTORS / "limit_traffic_differences.json").read_text())
OURS = {(one["sequence"], one["step"]): one["ours"] for one in DIFFERENCES["differences"]}
CLOSE = 0.001  # s of a delay, requests of an excess: that library keeps whole milliseconds and thousandths


def is_close(told: object, expected: object) -> bool:
    if isinstance(expected, list):
        return isinstance(told, list) and len(told) == len(expected) and all(map(is_close, told, expected))
    if isinstance(expected, bool | str):
        return told == expected
    return isinstance(told, int | float) and told == pytest.approx(expected, abs=CLOSE)


def agrees(told: Answer, expected: Answer) -> bool:
    return all(is_close(told.get(word), value) for word, value in expected.items())


@pytest.mark.parametrize("number", range(len(SEQUENCES)), ids=lambda n: f"{n}-{SEQUENCES[n]['title']}")
def test_answers_are_those_of_the_library_or_are_listed_with_their_reason(number):
    sequence = Sequence(SEQUENCES[number])
    for at, step in enumerate(SEQUENCES[number]["steps"]):
        told, expected = sequence.answer(step), step.get("expect", {})
        ours = OURS.get((number, at))
        if ours is None:
            assert agrees(told, expected), f"step {at}, {step}: we say {told}"
        else:
            assert not agrees(told, expected), f"step {at} is listed as a difference and is none any more"
            assert agrees(told, ours), f"step {at}, {step}: we say {told}, the list says {ours}"


def test_every_listed_difference_has_a_reason_and_a_step():
    assert {one["reason"] for one in DIFFERENCES["differences"]} == set(DIFFERENCES["reasons"])
    assert all("expect" in SEQUENCES[number]["steps"][at] for number, at in OURS)
    assert len(OURS) == len(DIFFERENCES["differences"])


def test_delays_and_concurrency_never_differ():
    assert {SEQUENCES[number]["title"] for number, _ in OURS} == {"req", "count"}
