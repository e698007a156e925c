"""What limits have learned is in the state directory, and in the next region."""

import itertools
import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.config.adaptive import Adaptive
from tidegate.config.allotment import allot
from tidegate.config.limits import Limit
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.limits.learner import Learner
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.region import Region
from tidegate.process.learned import FILE, LearnedKeeper, restore_learned

S = 1_000_000_000
LATER = itertools.count()
KEY = 0x1234_5678_0000_0000


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region.create(2, 1, 1)
    yield made
    made.close()


def snapshot(**limits: Limit) -> Snapshot:
    places, without = allot({}, limits, 1 << 24)
    assert without == []
    return Snapshot.build(Gateway(listeners=(), limits=limits), places=places)


LEARNS = Adaptive(algorithm="aimd", floor=1, initial=40, samples_min=1)
ONE = snapshot(backend=Limit(adaptive=LEARNS), fixed=Limit(concurrency=3))


def learner(region: Region, of: Snapshot, name: str = "backend") -> Learner:
    place, settings = of.places[name], of.gateway.limits[name].adaptive
    assert settings is not None
    return Learner(name, settings, region.adaptive(0), place.learns_at, place.learners, time.monotonic_ns())


def unkeyed(region: Region, name: str = "backend") -> int:
    return Fingerprints(region.secret, name).of_key(b"")


def learn(one: Learner, fingerprint: int, *, drop: bool = True) -> None:
    now_ns = time.monotonic_ns() + next(LATER) * 10 * S
    one.limit_of(fingerprint)
    one.tick(now_ns + S)  # the row is there, and its interval begins
    one.teach(fingerprint, now_ns + S, 1_000_000, 40, drop)
    assert one.tick(now_ns + 3 * S) == 1


class Said:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def __call__(self, kind: str, message: str, **fields: object) -> None:
        self.kinds.append(kind)


def keeper(region: Region, directory: Path | None, of: Snapshot) -> tuple[LearnedKeeper, Said]:
    said = Said()
    return LearnedKeeper(region, directory, lambda: of, said), said


def test_a_new_region_begins_with_what_was_learned(region: Region, tmp_path: Path) -> None:
    directory = tmp_path / "state"
    learn(learner(region, ONE), unkeyed(region))
    keep, said = keeper(region, directory, ONE)
    keep.keep()
    assert stat.S_IMODE((directory / FILE).stat().st_mode) == 0o600
    after = Region.create(2, 1, 1)
    restore_learned(after, ONE, directory)
    again = learner(after, ONE)
    assert again.limit_of(unkeyed(after)) == 36
    learn(again, unkeyed(after))
    assert again.limit_of(unkeyed(after)) == 32
    assert said.kinds == []
    after.close()


def test_the_bounds_of_now_hold(region: Region, tmp_path: Path) -> None:
    learn(learner(region, ONE), unkeyed(region))
    keeper(region, tmp_path / "s", ONE)[0].keep()
    now = snapshot(backend=Limit(adaptive=Adaptive(floor=50)))
    after = Region.create(2, 1, 1)
    restore_learned(after, now, tmp_path / "s")
    assert learner(after, now).limit_of(unkeyed(after)) == 50
    after.close()


def test_keys_are_known_while_the_secret_is_the_same(region: Region, tmp_path: Path) -> None:
    keyed = snapshot(backend=Limit(adaptive=LEARNS, key=("path",), keys=64))
    learn(learner(region, keyed), KEY)
    keeper(region, tmp_path / "s", keyed)[0].keep()
    other = Region.create(2, 1, 1)
    restore_learned(other, keyed, tmp_path / "s")
    assert learner(other, keyed).limit_of(KEY) == 40
    other.close()
    restore_learned(region, keyed, tmp_path / "s")
    assert learner(region, keyed).limit_of(KEY) == 36


def test_it_is_written_when_something_was_decided(region: Region, tmp_path: Path) -> None:
    keep, _ = keeper(region, tmp_path / "s", ONE)
    keep.keep()
    assert not (tmp_path / "s").exists(), "nothing is known yet"
    one = learner(region, ONE)
    learn(one, unkeyed(region))
    keep.keep()
    file = tmp_path / "s" / FILE
    assert [row["limit"] for row in json.loads(file.read_bytes())["rows"]] == ["backend"]
    file.unlink()
    keep.keep()
    assert not file.exists(), "it would be the same"
    learn(one, unkeyed(region))
    keep.keep()
    assert file.exists()
    keeper(region, None, ONE)[0].keep()  # no directory, no file, no failure


def test_a_file_that_makes_no_sense_is_said_once_and_written_anew(region: Region, tmp_path: Path) -> None:
    directory = tmp_path / "s"
    directory.mkdir(mode=0o700)
    for content in (b"", b"{", b'{"rows": 3}', b'{"secret": "", "rows": [{"limit": "backend", "name": null}]}'):
        (directory / FILE).write_bytes(content)
        restore_learned(region, ONE, directory)
        _, said = keeper(region, directory, ONE)
        assert said.kinds == ["learned_unreadable"]
    rows = [
        {"limit": "gone", "name": None, "learned": {"limit": 5}},
        {"limit": "fixed", "name": None, "learned": {"limit": 5}},
        {"limit": "backend", "name": 77, "learned": {"limit": 5}},
        {"limit": "backend", "name": None, "learned": {"limit": -5, "decisions": 1e300}},
        {"limit": "backend", "name": None, "learned": {"limit": 7}},
    ]
    (directory / FILE).write_text(json.dumps({"secret": "", "rows": rows}))
    restore_learned(region, ONE, directory)
    one = learner(region, ONE)
    assert one.limit_of(unkeyed(region)) == 40, "there is one row, and the first that means it has it"
    keep, said = keeper(region, directory, ONE)
    learn(one, unkeyed(region))
    keep.keep()
    assert said.kinds == []
    assert json.loads((directory / FILE).read_bytes())["rows"][0]["learned"]["limit"] == 36


def test_a_disk_that_takes_nothing_is_said_once(region: Region, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = learner(region, ONE)
    keep, said = keeper(region, tmp_path / "file" / "s", ONE)
    for _ in range(3):
        learn(one, unkeyed(region))
        keep.keep()
    assert said.kinds == ["learned_not_written"]
