"""Ctrl-C as a fact instead of an exception, which could come between measuring something and keeping it."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["CtrlC"]


class CtrlC:
    """Within the block the first Ctrl-C is noted; the second one is raised, for whoever does not want to wait."""

    def __init__(self) -> None:
        self.is_pressed = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self._before)

    def __repr__(self) -> str:
        return f"<CtrlC {'pressed' if self.is_pressed else 'not pressed'}>"

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.is_pressed:
            raise KeyboardInterrupt
        self.is_pressed = True
