"""Sessions and tokens through whole gateways: workers, reloads, and a Redis that stands still."""

import http.client
import json
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from benchmarks.ports import free_port
from tests.e2e.test_processes import running
from tests.filters.issuers import Issuer
from tests.process.gateway import eventually
from tests.redis.servers import serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ANN = json.dumps({"user": "ann", "org": "acme"})


def written(path, redis, *, link="", sessions='remember = "1h"\ntimeout = "1s"'):
    (path / "jwks.json").write_bytes(Issuer().jwks)
    file = path / "gateway.toml"
    file.write_text(
        f"""
[server]
workers = 2
admin = "127.0.0.1:{free_port()}"
state_dir = "state"
[[listeners]]
bind = "127.0.0.1:{free_port()}"
[redis.main]
url = "redis://{redis}/0"
{link}
[cache.sessions]
machine = "16MiB"
codec = "json"
jitter = 0.0
early_refresh = 0.0
[filters.sessions]
class = "tidegate.filters.session_auth:SessionAuth"
redis = "main"
cache = "sessions"
{sessions}
[filters.tokens]
class = "tidegate.filters.jwt_auth:JwtAuth"
jwks_file = "jwks.json"
timeout = "60s"
[[routes]]
name = "sessions"
path = "/sessions"
filters = ["sessions"]
respond = {{}}
[[routes]]
name = "tokens"
path = "/tokens"
filters = ["tokens"]
respond = {{}}
[[routes]]
name = "open"
path = "/open"
respond = {{}}
"""
    )
    return file


def lanes(gateway):
    """The lanes of the link in all workers, by name."""
    with urllib.request.urlopen(f"http://{gateway.admin}/status", timeout=60) as answer:
        (main,) = json.load(answer)["redis"]
    return {lane["lane"]: lane for lane in main["lanes"]}


def ask(address, path, **fields):
    """The status, over a connection that may go to any worker."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", path, headers=fields)
        return connection.getresponse().status
    finally:
        connection.close()


def test_who_is_known_stays_so_over_a_reload_while_redis_stands_still(tmp_path):
    with serving() as redis:
        redis.ask("SET", "session:a1", ANN)
        file = written(tmp_path, redis.address)
        with running(tmp_path, "run", file) as gateway:

            def known():
                return [ask(gateway.listener, "/sessions", Cookie="session=a1") for _ in range(8)]

            eventually(lambda: known() == [200] * 8, "both workers know it, from Redis or from each other")
            token = Issuer().token()
            assert {ask(gateway.listener, "/tokens", Authorization=f"Bearer {token}") for _ in range(4)} == {200}
            assert ask(gateway.listener, "/tokens", Authorization=f"Bearer {Issuer(number=1).token()}") == 401
            redis.stop(signal_=signal.SIGSTOP)
            try:
                file.write_text(file.read_text() + '[[routes]]\nname = "new"\npath = "/new"\nrespond = {}\n')
                gateway.signal(signal.SIGHUP)
                eventually(lambda: ask(gateway.listener, "/new") == 200, "the new configuration is active")
                assert known() == [200] * 8
                assert {ask(gateway.listener, "/sessions", Cookie=f"session=x{n}") for n in range(4)} == {503}
                assert ask(gateway.listener, "/open") == 200
                assert ask(gateway.admin, "/health/ready") == 200
            finally:
                redis.stop(signal_=signal.SIGCONT)
            eventually(lambda: ask(gateway.listener, "/sessions", Cookie="session=x9") == 401, "it is asked again")


def test_remedies_of_the_incidents_run_together_from_one_file(tmp_path):
    """What helped there, as it was written: pipelines of three commands or 5 ms, a pool of 300 idle and 400 open
    connections that waits, sessions that are extended to four hours whenever less than four hours are left."""
    tokens = [f"t{number}" for number in range(60)]
    with serving() as redis:
        for token in tokens:
            redis.ask("SET", f"session:{token}", ANN, "EX", 3600)
        file = written(
            tmp_path,
            redis.address,
            link='batch = 3\nlinger = "5ms"\npool = { idle = 300, max = 400, wait = 10000, wait_timeout = "30s" }',
            sessions='ttl = "4h"\nrenew_below = "4h"\nremember = "1h"\ntimeout = "60s"',
        )
        with running(tmp_path, "run", file) as gateway, ThreadPoolExecutor(20) as callers:

            def enters(token):
                return ask(gateway.listener, "/sessions", Cookie=f"session={token}")

            assert set(callers.map(enters, 3 * tokens)) == {200}
            four_hours_ms = 4 * 3600 * 1000
            lives = [redis.ask("PTTL", f"session:{token}") for token in tokens]
            assert four_hours_ms - 600_000 < min(lives) and max(lives) <= four_hours_ms
            data = eventually(lambda: (told := lanes(gateway).get("data")) and told["commands_total"] and told, "used")
            assert data["connections"] <= 2, "one for each worker, whatever the pool may open"
            assert (data["turned_away_total"], data["timeouts_total"]) == (0, 0)
