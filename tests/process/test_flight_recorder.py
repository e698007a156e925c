"""The flight recorder in control: where it writes, and that nobody waits for the disk."""

import asyncio

import pytest
from tests.observe.samples import sample, worker

from tidegate.config.listeners import Listener
from tidegate.config.logs import Recorder
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.observe.recording_file import read_recording
from tidegate.observe.saturation import Saturation
from tidegate.process.flight_recorder import FlightRecorder

CALM = Saturation(0.0, {"loop_lag": 0.0}, ())


@pytest.fixture
def region():
    made = Region.create(1)
    made.snapshot_number = 4
    yield made
    made.close()


def recorder(region, state, say=lambda *words, **fields: None, **options):
    gateway = Gateway(listeners=(Listener(bind="127.0.0.1:1"),), recorder=Recorder(**options))
    return FlightRecorder(Snapshot.build(gateway), region, state, pid=41, generation=2, say=say)


def test_a_stall_is_written_in_a_thread_and_said(region, tmp_path):
    said = []

    async def main():
        loop, written = asyncio.get_running_loop(), asyncio.Event()
        one = recorder(region, tmp_path, lambda *words, **fields: loop.call_soon_threadsafe(hear, words, written))
        one.take(sample(worker(0, loop_lag_s=2.0), at_ns=1), CALM)
        assert said == [], "nobody has waited for the disk"
        await written.wait()

    def hear(words, written):
        said.append(words)
        written.set()

    asyncio.run(asyncio.wait_for(main(), 20))
    (path,) = (tmp_path / "recordings").glob("*-stall.jsonl.gz")
    header = read_recording(path).header
    assert (header.pid, header.generation, header.snapshot, header.workers) == (41, 2, 4, 1)
    assert said[0][0] == "recorded"


def test_directory_of_the_configuration_goes_before_the_state_directory(region, tmp_path):
    one = recorder(region, tmp_path / "state", directory=str(tmp_path / "named"))
    assert asyncio.run(one.record()).parent == tmp_path / "named"


def test_without_any_directory_who_asks_is_told(region):
    one = recorder(region, None)
    one.take(sample(worker(0, loop_lag_s=2.0)), CALM)
    with pytest.raises(OSError, match=r"recorder\.directory"):
        asyncio.run(one.record())


def test_saturation_of_the_configuration_is_the_bound(region, tmp_path):
    async def reasons(bound):
        heard = asyncio.Queue()
        loop = asyncio.get_running_loop()
        one = recorder(
            region,
            tmp_path / str(bound),
            lambda *words, **fields: loop.call_soon_threadsafe(heard.put_nowait, words),
            saturation=bound,
        )
        for second in range(1, 5):
            one.take(sample(worker(), at_ns=second * 10**9), Saturation(0.4, {"in_flight": 0.4}, ()))
        one.take(sample(worker(0, loop_lag_s=2.0), at_ns=5 * 10**9), CALM)
        return (await asyncio.wait_for(heard.get(), 20))[1]

    assert asyncio.run(reasons(0.4)).endswith("saturation 0.40, worst in in_flight")
    assert asyncio.run(reasons(0.5)).endswith("worker 0 stood for 2.0 s")
