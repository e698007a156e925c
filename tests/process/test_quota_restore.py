"""What a supervisor takes up of the quotas before; what comes of it over a restart is in test_quota_keeper.py."""

import subprocess
import sys

from tidegate.config.allotment import allot, room_of
from tidegate.config.limits import Limit
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.process.quota_log import FILE, Batch, Records, pack_batch, pack_head
from tidegate.process.quota_restore import quota_places, restore_quotas

MEMORY = 1 << 20
LIMITS = {"month": Limit(quota=9, window=86400.0), "edge": Limit(rate="1/s")}
SNAPSHOT = Snapshot.build(
    Gateway(listeners=(Listener(bind="127.0.0.1:1"),), limits=LIMITS), places=allot({}, LIMITS, MEMORY)[0]
)


def restored(tmp_path, *batches, wall_ms=10_000):
    region = Region.create(1, **room_of(MEMORY))
    (tmp_path / FILE).write_bytes(pack_head(region.secret) + b"".join(map(pack_batch, batches)))
    try:
        return restore_quotas(region, SNAPSHOT, tmp_path, wall_ms=wall_ms, now_ms=5_000)
    finally:
        region.close()


def test_only_quotas_have_places_that_are_kept():
    assert list(quota_places(SNAPSHOT)) == ["month"]


def test_age_is_that_of_the_newest_batch(tmp_path):
    assert restored(tmp_path) == (-1, "")
    assert restored(tmp_path, Batch(7_000, 5_000, []), Batch(9_500, 5_000, [])) == (500, "")
    assert restored(tmp_path, Batch(11_000, 5_000, [])) == (0, ""), "the wall clock was set back"


def test_records_of_no_cell_are_damage(tmp_path):
    sets = SNAPSHOT.places["month"].units - 1
    age_ms, trouble = restored(tmp_path, Batch(9_000, 5_000, [Records("month", sets, b"\xff" * 24)]))
    assert age_ms == 1_000
    assert "there is no cell" in trouble


def test_limits_that_are_gone_are_passed_over(tmp_path):
    batch = Batch(9_000, 5_000, [Records("gone", 2, b"\xff" * 24), Records("month", 7, b"\xff" * 24)])
    assert restored(tmp_path, batch) == (1_000, "")


def test_it_loads_no_event_loop():
    """The supervisor is tiny."""
    program = "import sys, tidegate.process.quota_restore; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
