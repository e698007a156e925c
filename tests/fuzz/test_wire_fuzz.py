"""The fuzz loop over the wire finds nothing in a bounded number of inputs, and really reaches what it is to test."""

import os
from types import ModuleType

import pytest
from tests.fuzz.build import load
from tests.fuzz.corpora import KINDS, corpus

pytestmark = [pytest.mark.sanitize, pytest.mark.slow]

EXECUTIONS = 1_000_000
# Refusals that random changes to the vectors reach; what takes thousands of bytes is left to the vectors.
REACHED = {"request": 26, "response": 17, "chunked": 7, "path": 10, "scan": 0}


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return load("wire_fuzz")


@pytest.mark.parametrize("kind", KINDS)
def test_fuzzing_finds_nothing(fuzz: ModuleType, kind: str) -> None:
    seed = 1 if os.environ.get("CI") else int.from_bytes(os.urandom(4), "little")
    failed, data, accepted, refusals = fuzz.run(kind, corpus(kind), EXECUTIONS, seed)
    assert not failed, f"seed {seed}: {failed}: {data!r}"
    assert accepted > EXECUTIONS // 50
    assert len(refusals) >= REACHED[kind]
