"""Cores of workers, on this machine."""

import os

import pytest
from tests.config.gateways import PLAIN, accepted, found

HERE = sorted(os.sched_getaffinity(0))
ABSENT = max(HERE) + 1


def test_each_worker_has_its_own() -> None:
    server = accepted(PLAIN + f"[server]\nworkers = 2\naffinity = [[{HERE[0]}], [{HERE[0]}, {HERE[-1]}]]\n").server
    assert server.affinity == ((HERE[0],), (HERE[0], HERE[-1]))
    assert accepted(PLAIN + '[server]\naffinity = "auto"\n').server.affinity == "auto"
    assert accepted(PLAIN + '[server]\naffinity = "off"\n').server.affinity is None


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (
            f"workers = 2\naffinity = [[{HERE[0]}]]",
            "server.affinity: 1 list of cores for 2 workers; each worker needs one",
        ),
        (
            f"affinity = [[{HERE[0]}], [{HERE[0]}]]",
            "server.affinity: 2 lists of cores, but how many workers there are is left to the machine; set workers = …",
        ),
        (
            f"workers = 1\naffinity = [[{HERE[0]}, {ABSENT}]]",
            f"server.affinity[0]: core {ABSENT} is not there for this process; it may use "
            + ", ".join(str(core) for core in HERE),
        ),
    ],
)
def test_cores_that_cannot_be_used(options: str, finding: str) -> None:
    (one,) = found(PLAIN + f"[server]\n{options}\n")
    assert f"{one.path}: {one.message}" == finding
    assert one.line == PLAIN.count("\n") + 2 + options.count("\n")


@pytest.mark.parametrize("value", ['"on"', "[0, 1]", "[[-1]]", "3", "[[true]]", "[[]]"])
def test_what_is_no_list_of_cores(value: str) -> None:
    (one,) = found(PLAIN + f"[server]\nworkers = 1\naffinity = {value}\n")
    assert one.path == "server.affinity"
    assert one.message.startswith('expected "auto" or cores for each worker, such as [[0], [1, 2]]')
