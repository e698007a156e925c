"""Everything at once: clients and servers that cut, reset, dawdle and lie, with filters that wait and raise in between.

Nobody may get what is somebody else's, nothing may break inside, and in the end nothing may be left.
``TIDEGATE_CHAOS_SECONDS`` and ``TIDEGATE_CHAOS_SEED`` make it longer, or again.
"""

import asyncio
import os
import re
import ssl
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Self

import pytest
import trustme
from tests.plane.chaos import ChaosClients, ChaosServer
from tests.plane.footprint import footprint, grown_since
from tests.plane.harness import Plane, until

SECONDS = float(os.environ.get("TIDEGATE_CHAOS_SECONDS", "10"))  # each time: in plain text, through TLS, reloaded
SEED = int(os.environ.get("TIDEGATE_CHAOS_SEED", "2"))
GROWTH_BOUND = 40 << 20
MORE_ROUNDS = 20

SERVER = """
filter_packages = ["tests"]
"""

LISTENER = """
head_timeout = "2s"
body_timeout = "2s"
lingering_timeout = "1s"
"""

CONFIG = """
[filters.sync]
class = "tests.plane.chaos_filters:Sync"
[filters.async]
class = "tests.plane.chaos_filters:Waiting"
[filters.bodies]
class = "tests.plane.chaos_filters:Bodies"

[upstreams.plain]
endpoints = ["127.0.0.1:{port}"]
read_timeout = "1s"
[upstreams.tiny]
endpoints = ["127.0.0.1:{port}"]
source_address = "127.0.0.1"
pool = {{ max = 2, idle = 1, wait = 3, wait_timeout = "100ms", max_requests = 7 }}
read_timeout = "1s"
[upstreams.elsewhere]
endpoints = ["127.0.0.1:{closed}", "127.0.0.1:{port}"]
balance = "round_robin"
[upstreams.sticky]
endpoints = ["127.0.0.1:{port}"]
sticky = {{ cookie = "s" }}

[upstreams.secret]
endpoints = ["127.0.0.1:{secret}"]
tls = {{ ca = "{folder}/root.pem", name = "gateway.test" }}
read_timeout = "1s"
[upstreams.local]
endpoints = ["unix:{folder}/local"]
connect_timeout = "200ms"
read_timeout = "1s"

[[routes]]
name = "secret"
path = "/secret/*"
upstream = "secret"
timeout = "500ms"
[[routes]]
name = "local"
path = "/local/*"
upstream = "local"
timeout = "500ms"
[[routes]]
name = "plain"
path = "/plain/*"
upstream = "plain"
timeout = "500ms"
[[routes]]
name = "tiny"
path = "/tiny/*"
upstream = "tiny"
timeout = "500ms"
[[routes]]
name = "elsewhere"
path = "/elsewhere/*"
upstream = "elsewhere"
timeout = "500ms"
rewrite = {{ strip_prefix = "/elsewhere" }}
[[routes]]
name = "sticky"
path = "/sticky/*"
upstream = "sticky"
timeout = "500ms"
response_headers = {{ set = {{ X-A = "1" }}, add = {{ X-B = "2" }} }}
[[routes]]
name = "sync"
path = "/sync/*"
upstream = "plain"
filters = ["sync"]
timeout = "500ms"
[[routes]]
name = "async"
path = "/async/*"
upstream = "plain"
filters = ["async"]
timeout = "500ms"
[[routes]]
name = "mixed"
path = "/mixed/*"
upstream = "plain"
filters = ["sync", "bodies", "async"]
timeout = "500ms"
[[routes]]
name = "fixed"
path = "/fixed/*"
respond = {{ body = "fixed" }}
[[routes]]
name = "away"
path = "/away/*"
redirect = {{ to = "https://elsewhere.test{{path}}{{query}}" }}
"""


class Outside:
    """A loop in a thread, where clients and servers live."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="outside", daemon=True)
        self.thread.start()

    def run(self, coroutine):  # type: ignore[no-untyped-def]
        """What ``coroutine`` returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def close(self) -> None:
        """Cancels what is left."""

        async def cancel() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Reloads:
    """Another configuration, again and again: what changes is what must not matter to anybody."""

    def __init__(self, plane: Plane, config: str, listener: str) -> None:
        self.plane, self.config, self.listener = plane, config, listener
        self.turns = 0
        self.failure: BaseException | None = None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reloads", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            while not self._ends.wait(0.05):
                self.turns += 1
                self.plane.reload(*self._another(self.turns), server=SERVER)
        except BaseException as failure:  # noqa: BLE001 - handed to the test
            self.failure = failure

    def _another(self, turn: int) -> tuple[str, str]:
        config = self.config
        if turn % 2:
            config = config.replace('read_timeout = "1s"', f'read_timeout = "{1000 + turn}ms"')
        if turn % 3:
            config = config.replace("max = 2, idle = 1", f"max = {1 + turn % 5}, idle = {turn % 2}")
        if turn % 5 == 0:
            config = config.replace("upstreams.plain", "upstreams.other")
            config = config.replace('upstream = "plain"', 'upstream = "other"')
        if turn % 7 == 0:
            config = config.replace('path = "/fixed/*"', 'path = "/fixed/{one}"')
        return config, self.listener + f"max_headers = {60 + turn % 3}\n"


def everything_happened(clients: ChaosClients, server: ChaosServer) -> bool:
    """Whether what was asked for did happen, each kind of it."""
    return (
        clients.statuses[200] > 100
        and min(clients.statuses[status] for status in (101, 308, 418, 500, 502, 503, 504)) > 0
        and min(server.done.values()) > 0
        and server.stale - len(server.unclear) > 10
    )


@pytest.mark.slow
@pytest.mark.sanitize
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["plain", "tls", "reloads"])
def test_nobody_gets_what_is_somebody_elses_and_nothing_is_left(tmp_path: Path, kind: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "root.pem")
    issued = authority.issue_cert("gateway.test")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(served)
    listener, context = LISTENER, None
    if kind == "tls":
        listener += f'tls = {{ certificates = [{{ cert = "{tmp_path}/both.pem", key = "{tmp_path}/both.pem" }}] }}\n'
        context = ssl.create_default_context()
        authority.configure_trust(context)
    outside = Outside()
    server = ChaosServer(SEED)
    try:
        port, secret = outside.run(server.start(str(tmp_path / "local"), served))
        config = CONFIG.format(port=port, closed=1, secret=secret, folder=tmp_path)
        with Plane(config, listener=listener, server=SERVER) as plane:
            clients = ChaosClients(plane.port, SEED, context)
            reloads = Reloads(plane, config, listener)
            with reloads if kind == "reloads" else nullcontext():
                outside.run(clients.run(40, SECONDS / 5))
                before = footprint()
                outside.run(clients.run(40, SECONDS * 4 / 5))
                for _ in range(MORE_ROUNDS):  # on a slow machine
                    if everything_happened(clients, server) and (reloads.turns > 5 or kind != "reloads"):
                        break
                    outside.run(clients.run(40, SECONDS / 5))
                else:
                    raise AssertionError(
                        f"not all was tried: {clients.statuses}, {server.done}, {reloads.turns} reloads"
                    )
            assert reloads.failure is None
            until(lambda: plane.statistics().snapshots == 1, "old snapshots are gone")
            wrongs = [
                wrong
                for wrong in clients.wrongs + server.wrongs
                if not server.unclear.intersection(re.findall(r"\bstale-\d+\b", wrong))
            ]
            assert not wrongs, "\n".join(wrongs)
            until(plane.is_at_rest, "at rest")
            faults = [said for said in plane.error_log.said if said[0] == "gateway_fault"]
            assert faults == []
            unasked = [
                said for said in plane.error_log.said if said[0] == "filter_failed" and "as asked" not in said[1]
            ]
            assert unasked == []
            assert plane.statistics().faults == 0
            gauges = {name: value for name, value in plane.counters().items() if name.endswith("_open")}
            del gauges["upstream_open"]  # what is kept for the next one
            assert gauges == {"connections_open": 0, "exchanges_open": 0, "upgrades_open": 0}
            assert grown_since(before) < GROWTH_BOUND
    finally:
        outside.run(server.close())
        outside.close()
