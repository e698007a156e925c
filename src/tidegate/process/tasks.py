"""The one place where tasks are started.

``asyncio.create_task`` keeps only a weak reference: a task that nobody holds may be collected while it waits, and one
that fails is reported, without a name, when it happens to be collected. Tasks started here are held until they end,
carry a name, and a failure is logged at once. The linter bans the raw calls.

This module imports nothing of ours: every part of the gateway may start a task.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

_running: set[asyncio.Task[Any]] = set()


def start(coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Starts a task on the running loop.

    Args:
        coroutine: What to run.
        name: What the task is for, as logs and stack dumps will show it ("resolve orders").

    Returns:
        The task, which need not be kept. Awaiting it raises what it raised, although that has been logged.

    Raises:
        RuntimeError: No loop is running in this thread.
    """
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()  # asking for it also keeps asyncio from complaining a second time
    if error is not None:
        logger.error("task %r failed", task.get_name(), exc_info=error)
