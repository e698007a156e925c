"""Somebody who asks the same question again and again, each counted from when it was due."""

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from benchmarks.trouble.gateway import Running


@dataclass
class Asker:
    """Asks in a thread of its own while the block lasts; with ``each_s`` 0 the next as soon as one is answered."""

    question: Callable[[], object]
    each_s: float
    took_ms: list[float] = field(default_factory=list)
    failed: int = 0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        due_s = time.perf_counter()
        while not self._over.wait(max(0.0, due_s - time.perf_counter())):
            try:
                self.question()
            except (OSError, http.client.HTTPException):
                self.failed += 1
            self.took_ms.append((time.perf_counter() - due_s) * 1e3)
            due_s = due_s + self.each_s if self.each_s else time.perf_counter()


def readiness(running: Running) -> Callable[[], None]:
    """Asks ``/health/ready`` on a kept connection; whatever is not 200 is a failure."""
    connection = http.client.HTTPConnection(*running.admin, timeout=30)

    def question() -> None:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise ConnectionError(answer.status)

    return question
