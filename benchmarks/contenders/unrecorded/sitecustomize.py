"""Imported by each interpreter that finds this folder in PYTHONPATH: a gateway whose flight recorder takes nothing.

There is no option for that, because nobody would know at six in the morning that it was off.
"""

import sys

if "tidegate.process.control" in sys.orig_argv:
    from tidegate.process.flight_recorder import FlightRecorder

    FlightRecorder.take = lambda *_: None  # type: ignore[method-assign]
elif "tidegate.process.supervisor" in sys.orig_argv:
    from tidegate.process.stack_samples import StackSamples

    StackSamples.look = lambda *_: None  # type: ignore[method-assign]
