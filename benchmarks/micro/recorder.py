"""What the flight recorder costs control each second, for 8 workers, 100 routes and 20 upstreams, and a whole file."""

import atexit
import shutil
import tempfile
from pathlib import Path

import msgspec

from tidegate.memory.region import Region
from tidegate.observe.kernel import KernelFigures
from tidegate.observe.recorder import Recorder
from tidegate.observe.recording import Header
from tidegate.observe.sample import RouteSample, Sample, UpstreamSample, WorkerSample
from tidegate.observe.saturation import Saturation


def _made(kind: type, **known: object) -> object:
    """A value of ``kind`` with a plausible number in every field that is not named."""
    numbers = {str(one.name): 1234.5 if "float" in str(one.type) else 1234 for one in msgspec.structs.fields(kind)}
    return kind(**{**numbers, **known})


def _sample(at_ns: int) -> Sample:
    kernel = KernelFigures(*[7] * 11, links=())
    workers = tuple(_made(WorkerSample, slot=slot, state="ready", loop_lag_s=0.001) for slot in range(8))
    routes = tuple(_made(RouteSample, name=f"route-{i}", exchanges_per_s=i * 3.7) for i in range(100))
    upstreams = tuple(_made(UpstreamSample, name=f"upstream-{i}", exchanges_per_s=i * 3.7) for i in range(20))
    made = _made(Sample, at_ns=at_ns, workers=workers, routes=routes, upstreams=upstreams, kernel=kernel)
    assert isinstance(made, Sample)
    return made


_SAMPLES = [_sample(at * 10**9) for at in range(700)]
_CALM = Saturation(0.1, {"loop_lag": 0.1}, ())
_DIRECTORY = Path(tempfile.mkdtemp(prefix="tidegate-recorder-"))
atexit.register(shutil.rmtree, _DIRECTORY, ignore_errors=True)
_RECORDER = Recorder(
    Region.create(8),
    _DIRECTORY,
    header=lambda: Header(1, 0.0, ""),
    say=lambda *_, **__: None,
    wall=lambda: 1234.5,
)


def one_second(n: int) -> None:
    for at in range(n):
        _RECORDER._latest = None  # noqa: SLF001 - or it would take the samples for one second's
        _RECORDER.take(_SAMPLES[at % 700], _CALM)


def ten_minutes_to_a_file(n: int) -> None:
    for _ in range(n):
        _RECORDER.write_on_demand().unlink()


CASES = {"one second": one_second, "ten minutes to a file, in a thread": ten_minutes_to_a_file}
