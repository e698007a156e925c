"""The line of so many bytes a second, in both forms."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys

import pytest
from benchmarks.redis import narrow
from benchmarks.redis.server import valkey

from tidegate.lab.pieces.resp import Connection


def test_where_no_namespace_may_be_made_the_line_is_a_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(narrow.APART, raising=False)
    with valkey() as (port, _), narrow.narrow(f"127.0.0.1:{port}", 1e6) as address:
        assert address != f"127.0.0.1:{port}" and "relay" in narrow.kind()

        async def ask() -> object:
            connection = await Connection.open(address)
            try:
                return await connection.ask("PING")
            finally:
                connection.close()

        assert asyncio.run(ask()) in ("PONG", b"PONG")


IN_A_NAMESPACE = """
import os, subprocess
from benchmarks.redis import narrow
os.environ[narrow.APART] = "/tmp"
show = ["tc", "qdisc", "show", "dev", "lo"]
with narrow.narrow("127.0.0.1:7", 12.5e6) as address:
    print(address, narrow.kind(), flush=True)
    subprocess.run(show)
print("then", flush=True)
subprocess.run(show)
"""


def test_in_a_namespace_the_line_is_a_token_bucket_for_as_long_as_the_block() -> None:
    user = ["--map-root-user"] if os.geteuid() else []
    apart = ["unshare", "--net", *user, "sh", "-c"]
    probe = f"ip link set lo up && {narrow.bucket('add', 1e9)}"
    if shutil.which("unshare") is None or subprocess.run([*apart, probe], check=False).returncode:
        pytest.skip("no namespace may be made here")
    program = [*apart, 'ip link set lo up && exec "$0" -c "$1"', sys.executable, IN_A_NAMESPACE]
    told = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    meanwhile, _, then = told.partition("then")
    assert "127.0.0.1:7" in meanwhile and "token bucket" in meanwhile
    assert "tbf" in meanwhile and "rate 100Mbit" in meanwhile
    assert "tbf" not in then
