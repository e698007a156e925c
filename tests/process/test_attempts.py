"""When an upgrade may begin; what becomes of one is in test_upgrade.py."""

from types import SimpleNamespace

import pytest

from tidegate.process.attempts import Attempts
from tidegate.process.messages import UpgradeAsked
from tidegate.process.program import Program

ASKED = UpgradeAsked(attempt="one", program=Program("/usr/bin/python3", []))


def supervisor(*, stage="running", publishes_until_s=None, retired=()):
    said = []
    return SimpleNamespace(
        stage=SimpleNamespace(value=stage),
        workers=SimpleNamespace(generation=3, publishes_until_s=publishes_until_s),
        retired=retired,
        log=SimpleNamespace(say=lambda kind, message, *level: said.append((kind, message))),
        said=said,
    )


PLACES = [SimpleNamespace(child=SimpleNamespace(pid=41)), SimpleNamespace(child=None)]
OLD = SimpleNamespace(generation=2, places=PLACES, is_gone=False)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"stage": "draining"}, "the gateway is draining"),
        ({"publishes_until_s": 1.0}, "a reload is under way; try again when that has ended"),
        ({"retired": [OLD]}, "workers of generation 2 still finish what they have (pid 41)"),
    ],
)
def test_upgrade_that_cannot_begin_is_told_why(state, reason):
    gateway = supervisor(**state)
    attempts = Attempts(gateway)
    attempts.begin(ASKED)
    attempts.look()
    (status,) = attempts.statuses()
    assert (status.attempt, status.phase, status.generation, status.reason) == ("one", "failed", 3, reason)
    assert gateway.said == [("upgrade_refused", reason)]


def test_last_attempts_are_remembered_and_no_more():
    attempts = Attempts(supervisor(stage="draining"))
    for number in range(10):
        attempts.begin(UpgradeAsked(attempt=str(number), program=ASKED.program))
    assert [one.attempt for one in attempts.statuses()] == ["6", "7", "8", "9"]
