"""The flight recorder: what it keeps, when it writes by itself, how much stays on the disk."""

import itertools
import os
import resource

import msgspec
import pytest
from tests.observe.samples import KERNEL, SAMPLE, WORKER, sample, upstream, worker

from tidegate.memory.region import JOURNALS, Region
from tidegate.observe.kernel import LinkFigures
from tidegate.observe.recorder import Recorder, Trigger, Triggers, second_of
from tidegate.observe.recording import Event, Header, Second, Stack, WorkerSecond, pack_record
from tidegate.observe.recording_file import read_recording
from tidegate.observe.sample import KeySample, RouteSample
from tidegate.observe.saturation import Saturation

CALM = Saturation(0.2, {"loop_lag": 0.2, "link": 0.0}, ())
FULL = Saturation(1.5, {"loop_lag": 1.5, "link": 0.0}, ())
WALL = 1_795_327_200.0


class Bench:
    """A recorder with a clock of its own, one second a step."""

    def __init__(self, directory, region, **options):
        self.region = region
        self.now_s = 1000.0
        self.said = []
        self.options = options
        self.directory = directory
        self.start()

    def start(self):
        self.recorder = Recorder(
            self.region,
            self.directory,
            header=lambda: Header(1, 0.0, "", version="test", pid=7),
            say=lambda kind, message, level="warning", **fields: self.said.append((kind, message)),
            clock=lambda: self.now_s,
            wall=lambda: WALL + self.now_s,
            **self.options,
        )

    def step(self, saturation=CALM, workers=(WORKER,), **changed):
        self.now_s += 1
        one = sample(*workers, at_ns=int(self.now_s * 1e9), unix_s=WALL + self.now_s, **changed)
        return self.recorder.take(one, saturation)

    def steps(self, count, **changed):
        return [due for _ in range(count) if (due := self.step(**changed)) is not None]

    def event(self, kind, message="m"):
        event = Event(WALL + self.now_s, "supervisor", "warning", kind, message)
        self.region.journal("events").append(pack_record(event, 1000))

    def files(self):
        return sorted(one.name for one in self.directory.iterdir())


@pytest.fixture
def region():
    made = Region.create(2, 1, 16)
    yield made
    made.close()


@pytest.fixture
def bench(tmp_path, region):
    return Bench(tmp_path / "recordings", region)


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_ten_minutes_of_seconds_events_and_stacks_are_written_and_read_back(bench):
    bench.event("too_old")
    bench.steps(700)
    bench.event("process_died", "worker 1 is gone")
    bench.region.journal("stacks").append(pack_record(Stack(WALL + bench.now_s, 1, 8, "a.py:1 f"), 2000))
    path = bench.recorder.write_on_demand()
    found = read_recording(path)
    assert 598 <= len(found.seconds) <= 601
    assert found.seconds[-1].unix_s == WALL + bench.now_s
    assert [event.kind for event in found.events] == ["process_died"]
    assert [stack.calls for stack in found.stacks] == ["a.py:1 f"]
    assert (found.header.reason, found.header.pid, found.header.version) == ("demand", 7, "test")
    assert found.header.unix_s == WALL + bench.now_s
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_control_that_is_started_again_goes_on(bench):
    bench.steps(100)
    bench.event("suspects_itself", "judged by the control before")
    bench.step()
    bench.start()
    assert bench.steps(10) == [], "an old event is not judged again"
    assert len(read_recording(bench.recorder.write_on_demand()).seconds) == 111


def test_samples_that_somebody_asked_for_between_the_steps_are_not_kept(bench):
    for tenth in range(50):
        bench.now_s = 1000 + tenth / 10
        bench.recorder.take(sample(at_ns=int(bench.now_s * 1e9), unix_s=WALL + bench.now_s), CALM)
    assert 5 <= len(read_recording(bench.recorder.write_on_demand()).seconds) <= 6


def test_the_largest_gateway_has_room(bench):
    routes = tuple(RouteSample(f"route {i:060}", i, i * 1.1, i, i / 7, i, i * 1e5) for i in range(1000))
    upstreams = tuple(upstream(f"upstream {i:050}", open=i, exchanges_per_s=1.5 * i) for i in range(1000))
    workers = tuple(worker(i, pid=4_000_000 + i * 7, loop_lag_s=i / 1000, connections=65536 - i) for i in range(256))
    bench.step(workers=workers, routes=routes, upstreams=upstreams)
    (found,) = read_recording(bench.recorder.write_on_demand()).seconds
    assert len(found.workers) >= 32
    assert found.routes[0].name == f"route {999:060}"
    assert len(found.routes) <= 32


def test_memory_is_bounded():
    assert sum(cells * (room + 16) for cells, room in JOURNALS.values()) < 7_000_000


def test_a_second_has_the_series_that_lead_in_anything():
    def route(name, rate, seconds, size):
        return RouteSample(name, 1, rate, 1.0, seconds, 1, size)

    crowd = [route(f"crowd {i}", 100.0 + i, 0.1, 10.0) for i in range(40)]
    slow, fat, idle = route("slow", 1.0, 50.0, 10.0), route("fat", 1.0, 0.1, 1e9), route("idle", 0.0, 0.0, 0.0)
    second = second_of(sample(routes=(*crowd, slow, fat, idle)), None, CALM)
    names = [one.name for one in second.routes]
    assert {"slow", "fat", "crowd 39"} < set(names)
    assert "idle" not in names
    assert len(names) <= 32


def test_a_second_has_the_bytes_on_the_wire_since_the_one_before():
    def at(second, received, sent):
        kernel = msgspec.structs.replace(KERNEL, links=(LinkFigures("eth0", received, sent, None),), time_wait=17)
        return msgspec.structs.replace(SAMPLE, at_ns=second * 10**9, kernel=kernel)

    second = second_of(at(12, 5000, 300), at(10, 1000, 100), CALM)
    assert (second.link_in_per_s, second.link_out_per_s, second.step_s, second.time_wait) == (2000, 100, 2.0, 17)


def test_a_second_has_what_was_shed_in_it_and_how_far_each_worker_has_gone():
    def at(second, **shed):
        return sample(worker(shed_level=1.25), at_ns=second * 10**9, shed_total=shed)

    second = second_of(at(12, batch=50, live=3, all=7), at(10, batch=10, all=7), CALM)
    assert second.shed_per_s == {"batch": 20, "live": 1.5}
    assert second.workers[0].shed_level == 1.25


# -- when it writes ----------------------------------------------------------------------------------------------------


def second(saturation=0.1, lag_s=0.0):
    return Second(0.0, saturation=saturation, signals={"loop_lag": saturation}, workers=(WorkerSecond(3, lag_s=lag_s),))


def test_saturation_has_to_last_for_three_seconds(bench):
    assert bench.steps(2, saturation=FULL) == []
    assert bench.steps(10) == []
    due = bench.steps(3, saturation=FULL)
    assert [(one.reason, one.detail) for one in due] == [("saturation", "saturation 1.50, worst in loop_lag")]


def test_its_bound_is_configured():
    triggers = Triggers(saturation=0.5)
    assert [bool(triggers.judge(at, second(saturation=0.6), [])) for at in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("kind", "reason"), [("worker_stopped", "stall"), ("stall_killed", "stall"), ("suspects_itself", "suspicion")]
)
def test_what_the_gateway_says_about_trouble_is_a_reason(bench, kind, reason):
    bench.event("recorded")
    assert bench.step() is None
    bench.event(kind, "this is what it saw")
    assert bench.step()[:2] == (reason, "this is what it saw")


def test_a_loop_that_stands_for_a_second_is_a_reason(bench):
    assert bench.step(workers=(worker(0, loop_lag_s=0.9),)) is None
    due = bench.step(workers=(worker(0), worker(1, loop_lag_s=1.2)))
    assert due[:2] == ("stall", "worker 1 stood for 1.2 s")


def test_a_recording_is_written_again_a_minute_later_with_what_came_of_it(bench):
    first = bench.steps(5, workers=(worker(0, loop_lag_s=3.0),))
    again = bench.steps(100)
    assert len(first) == len(again) == 1
    assert first[0] == again[0], "so that it takes the place of the first"
    one, other = bench.recorder.write(first[0]), bench.recorder.write(again[0])
    assert one == other
    assert bench.files() == ["recording-20261122T061641Z-stall.jsonl.gz"]
    assert len(read_recording(one).seconds) == 105
    assert ("recorded", f"{one}: worker 0 stood for 3.0 s") in bench.said


def written_at(troubles, seconds):
    """Seconds at which something is written, with trouble in the seconds that ``troubles`` says yes to."""
    triggers = Triggers(1.0)
    return [at for at in range(seconds) if triggers.judge(at, second(lag_s=2.0 if troubles(at) else 0.0), [])]


def test_trouble_that_goes_on_is_recorded_ever_more_seldom():
    assert written_at(lambda at: True, 4000) == [0, 60, 300, 360, 900, 960, 2100, 2160]
    day = written_at(lambda at: True, 86_400)
    assert max(later - sooner for sooner, later in itertools.pairwise(day)) <= 3600
    assert len(day) <= 60


def test_trouble_soon_after_a_recording_waits_until_the_next_may_be_written_and_is_in_it():
    assert written_at(lambda at: at in (0, 130), 1000) == [0, 60, 300, 360]
    assert written_at(lambda at: at in (0, 50), 1000) == [0, 60], "what came within the minute is in the first"


def test_what_comes_after_ten_quiet_minutes_is_new_trouble():
    assert written_at(lambda at: at < 1000 or at > 1700, 2010) == [0, 60, 300, 360, 900, 960, 1701, 1761, 2001]
    gone = written_at(lambda at: at < 1000 or at == 1300, 4000)
    assert gone[-1] == 960, "none is written that could no longer show it"


def test_none_is_written_by_itself_when_none_is_to_be_kept(tmp_path, region):
    bench = Bench(tmp_path / "recordings", region, files=0)
    assert bench.steps(20, saturation=FULL) == []
    assert len(read_recording(bench.recorder.write_on_demand()).seconds) == 20


# -- how much stays ----------------------------------------------------------------------------------------------------


def test_the_oldest_files_go_and_what_is_not_ours_stays(tmp_path, region):
    bench = Bench(tmp_path / "recordings", region, files=3)
    bench.step()
    bench.directory.mkdir()
    (bench.directory / "notes.txt").write_text("mine")
    for at in range(6):
        bench.recorder.write(Trigger("stall", "", WALL + 100 * at))
    assert bench.files() == [
        "notes.txt",
        *(f"recording-20261122T06{minute}Z-stall.jsonl.gz" for minute in ("0500", "0640", "0820")),
    ]


def test_files_together_have_a_bound(tmp_path, region):
    bench = Bench(tmp_path / "recordings", region, bytes_max=5000)
    bench.steps(60)
    sizes = [bench.recorder.write(Trigger("stall", "", WALL + 100 * at)).stat().st_size for at in range(12)]
    assert sum(sizes) > 5000
    left = [one.stat().st_size for one in bench.directory.iterdir()]
    assert 0 < sum(left) <= 5000


def test_the_newest_stays_even_if_it_alone_is_too_large(tmp_path, region):
    bench = Bench(tmp_path / "recordings", region, bytes_max=10)
    bench.step()
    newest = [bench.recorder.write(Trigger("stall", "", WALL + at)) for at in range(3)][-1]
    assert bench.files() == [newest.name]


def test_recordings_asked_for_in_one_second_are_different_files(bench):
    bench.step()
    assert len({bench.recorder.write_on_demand() for _ in range(3)}) == 3


def test_a_disk_that_takes_no_more_is_said_once_and_leaves_no_half_file(bench):
    bench.steps(100)
    trigger = Trigger("stall", "", WALL)
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, bounds[1]))
    try:
        assert [bench.recorder.write(trigger) for _ in range(3)] == [None] * 3
        with pytest.raises(OSError, match="File too large"):
            bench.recorder.write_on_demand()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    assert bench.said == [("recording_failed", f"{bench.directory}: File too large")]
    assert bench.files() == []
    assert bench.recorder.write(trigger) is not None


def test_a_half_file_of_a_control_that_died_is_removed_and_a_fresh_one_is_not(bench):
    bench.directory.mkdir()
    for name, age_s in (("old", 700), ("fresh", 5)):
        part = bench.directory / f".recording-{name}.jsonl.gz.99.part"
        part.write_bytes(b"half")
        os.utime(part, (WALL + bench.now_s - age_s,) * 2)
    bench.recorder.write_on_demand()
    assert [name for name in bench.files() if name.endswith(".part")] == [".recording-fresh.jsonl.gz.99.part"]


def test_records_of_another_version_are_passed_over(bench):
    bench.steps(3)
    for name in JOURNALS:
        bench.region.journal(name).append(b"\xc1 from the future")
    bench.steps(3)
    found = read_recording(bench.recorder.write_on_demand())
    assert (len(found.seconds), found.events, found.stacks) == (6, (), ())


def test_of_those_who_asked_most_the_leading_ones_are_kept():
    keys = tuple(
        KeySample("limit", "edge", f"k{at}", 100.0 - at, 0.0, 2.0 if at == 99 else 0.0, 0.0) for at in range(100)
    )
    kept = second_of(sample(WORKER, keys=keys), None, CALM).keys
    assert [one.key for one in kept[:8]] == [f"k{at}" for at in range(8)]
    assert [(one.key, one.upstream_seconds_per_s) for one in kept if one.upstream_seconds_per_s] == [("k99", 2.0)]
    assert len(kept) == 9
