"""The flight recorder at work in control: a second at a time on the loop, files in a thread."""

import asyncio
from pathlib import Path

from tidegate import __version__
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.observe.log_writer import Say
from tidegate.observe.recorder import Recorder
from tidegate.observe.recording import Header
from tidegate.observe.recording_file import FORMAT
from tidegate.observe.sample import Sample
from tidegate.observe.saturation import Saturation
from tidegate.process import tasks

__all__ = ["FlightRecorder"]


class FlightRecorder:
    """Of one gateway.

    Args:
        snapshot: Says where recordings go, and how many are kept.
        region: The shared memory, where everything is kept.
        state: The state directory; None: recordings go only where the configuration says.
        pid: The supervisor's.
        generation: Which start of the program this is.
        say: The error log.
    """

    def __init__(
        self, snapshot: Snapshot, region: Region, state: Path | None, *, pid: int, generation: int, say: Say
    ) -> None:
        options = snapshot.gateway.recorder
        directory = Path(options.directory) if options.directory else state and state / "recordings"
        self._region = region
        self._pid = pid
        self._generation = generation
        self.recorder = None
        if directory is not None:
            self.recorder = Recorder(
                region, directory, header=self._header, say=say, saturation=options.saturation, files=options.files
            )

    def __repr__(self) -> str:
        return f"<FlightRecorder {self.recorder!r}>"

    def take(self, sample: Sample, saturation: Saturation) -> None:
        """Keeps one second, and begins to write a recording when that is due."""
        if self.recorder is None:
            return
        trigger = self.recorder.take(sample, saturation)
        if trigger is not None:
            tasks.start(asyncio.to_thread(self.recorder.write, trigger), "write a recording")

    async def record(self) -> Path:
        """Writes what is kept. OSError when it cannot be."""
        if self.recorder is None:
            raise FileNotFoundError(2, "there is no directory for recordings: name one as recorder.directory")
        return await asyncio.to_thread(self.recorder.write_on_demand)

    def _header(self) -> Header:
        return Header(
            tidegate_recording=FORMAT,
            unix_s=0.0,
            reason="",
            version=__version__,
            pid=self._pid,
            generation=self._generation,
            snapshot=self._region.snapshot_number,
            workers=self._region.workers,
        )
