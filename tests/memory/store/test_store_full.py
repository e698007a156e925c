"""A store whose file system is really full: a write fails and is counted, reads go on, and it heals."""

import os
import shutil
import subprocess
import sys

import pytest
from tests.memory.store.stores import FAR_S, PROGRAM

# A file system of its own that nobody else sees; who is not root is root in a user namespace.
APART = ["--mount", *(["--map-root-user"] if os.geteuid() else [])]
WITH_A_DISK = 'mount -t tmpfs -o size=12m none "$0" && exec "$@"'


@pytest.fixture
def in_a_small_place(tmp_path):
    """Runs a program with a directory of 12 MiB as its first argument and 64 MiB as the bound of its store."""
    place = tmp_path / "small"
    place.mkdir(mode=0o700)
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    mounted = ["unshare", *APART, "sh", "-c", WITH_A_DISK, place]
    tried = subprocess.run([*mounted, "true"], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip(f"nothing may be mounted here: {tried.stderr.decode()}")

    def run(lines):
        program = [sys.executable, "-c", PROGRAM + lines, str(place / "store"), str(64 << 20)]
        done = subprocess.run([*mounted, *program], check=False, capture_output=True, timeout=FAR_S, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


FULL_FROM_OUTSIDE = """
async def main():
    store = open_store()
    names = [b"%d" % i for i in range(40)]
    sizes = [1000, 60000, 100000, 10]
    async def put(name, turn):
        size = sizes[int(name) % 4]
        return await store.put(name, bytes([turn]) * size, b"", 1e9)
    assert all([await put(name, 1) for name in names])
    filler = open(Path(sys.argv[1]).parent / "filler", "wb", buffering=0)
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
    for turn in range(2, 22):
        assert not await store.put(b"huge", bytes(3000000), b"", 1e9)
        assert store.get(b"huge", 1.0) is None
        for name in names:
            await put(name, turn)
            entry = store.get(name, 1.0)
            assert entry is None or len(set(bytes(entry.value))) == 1 and len(entry.value) == sizes[int(name) % 4]
    seen = store.statistics()
    print("full", seen.is_full, seen.full >= 20, seen.entries > 10, flush=True)
    os.unlink(filler.name)
    filler.close()
    while store.statistics().is_full:
        await put(names[0], 3)
        await asyncio.sleep(0.05)
    assert all([await put(name, 7) for name in names])
    assert all([bytes(store.get(name, 1.0).value)[:1] == bytes([7]) for name in names])
    print("healed", store.statistics().rebuilt, flush=True)
    store.close()

asyncio.run(main())
"""

LARGER_THAN_ITS_PLACE = """
async def main():
    store = open_store()
    made = 0
    for i in range(400):
        made += await store.put(b"%d" % i, bytes([i % 251]) * (300000 if i % 2 else 30000), b"", 1e9)
        entry = store.get(b"%d" % i, boot_s())
        assert entry is None or bytes(entry.value[:1]) == bytes([i % 251])
    print("made", made > 300, store.statistics().evictions > 100, flush=True)
    store.close()

asyncio.run(main())
"""

OPENED_WHERE_NOTHING_FITS = """
from tidegate.errors import GatewayError
with open(Path(sys.argv[1]).parent / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
try:
    open_store()
except GatewayError as error:
    print("refused", error.kind, flush=True)
os.unlink(filler.name)
open_store().close()
print("opened", flush=True)
"""


def test_full_file_system_costs_what_would_be_written_and_nothing_else(in_a_small_place):
    said = in_a_small_place(FULL_FROM_OUTSIDE)
    assert [line for line in said if "said" not in line] == ["full True True True", "healed 0"]
    kinds = [line.split()[1] for line in said if "said" in line]
    assert kinds == ["store_full", "store_has_room"] * (len(kinds) // 2)
    assert kinds


def test_store_that_is_larger_than_its_place_evicts_at_what_there_is(in_a_small_place):
    said = in_a_small_place(LARGER_THAN_ITS_PLACE)
    assert said[-1] == "made True True"


def test_store_that_has_no_room_to_begin_with_is_refused_and_opened_later(in_a_small_place):
    assert in_a_small_place(OPENED_WHERE_NOTHING_FITS) == ["refused gateway_exhausted", "opened"]
