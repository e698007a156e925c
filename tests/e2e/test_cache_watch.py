"""A source that workers of a real gateway watch: one listens, whoever is killed."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
from pathlib import Path

import pytest
from benchmarks.ports import free_port
from tests.e2e.test_processes import running
from tests.process.gateway import eventually
from tests.redis.servers import Server, serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PACKAGE = '''
"""A filter that answers with what a source has."""

from tidegate import Filter, Request, Response


class Told(Filter):
    async def on_request(self, request: Request) -> Response | None:
        return Response(200, await self.caches["prices"].get(request.path) or b"nothing")
'''


def written(path: Path, server: Server) -> Path:
    (path / "told.py").write_text(PACKAGE)
    file = path / "gateway.toml"
    file.write_text(
        f"""
[server]
workers = 2
admin = "127.0.0.1:{free_port()}"
state_dir = "state"
filter_packages = ["told"]
[[listeners]]
bind = "127.0.0.1:{free_port()}"
[redis.main]
url = "redis://{server.address}"
[cache.prices]
redis = "main"
watch = "price:"
machine = "4MiB"
[filters.told]
class = "told:Told"
[[routes]]
name = "all"
filters = ["told"]
respond = {{}}
"""
    )
    return file


def answers(address: str) -> set[bytes]:
    """What there is to be heard, over connections that may go to any worker."""
    found = set()
    for _ in range(16):
        connection = http.client.HTTPConnection(address, timeout=60)
        with contextlib.suppress(OSError, http.client.HTTPException):  # a worker that was killed had it
            connection.request("GET", "/tea")
            found.add(connection.getresponse().read())
        connection.close()
    return found


def listening(server: Server) -> int:
    """Connections that are told of every change."""
    return len(re.findall(r"flags=\w*B", server.ask("CLIENT", "LIST").decode()))


def test_one_worker_listens_for_all_and_another_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with serving() as server:
        server.ask("SET", "price:/tea", "0")
        with running(tmp_path, "run", written(tmp_path, server)) as gateway:
            assert answers(gateway.listener) == {b"0"}, "it was there before they were ready"
            for price, pid in enumerate(gateway.workers(), start=1):
                assert listening(server) == 1
                server.ask("SET", "price:/tea", price)
                eventually(lambda: answers(gateway.listener) == {b"%d" % price}, "all know")  # noqa: B023
                os.kill(pid, signal.SIGKILL)
                server.ask("SET", "price:/tea", f"{price} and more")
                eventually(lambda: answers(gateway.listener) == {b"%d and more" % price}, "still")  # noqa: B023
                eventually(lambda: listening(server) == 1, "one listens again")
            server.ask("DEL", "price:/tea")
            eventually(lambda: answers(gateway.listener) == {b"nothing"}, "all know that it is gone")
