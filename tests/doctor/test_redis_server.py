"""What real servers say of themselves, by the gateway's own link."""

import threading

import pytest
from tests.redis.servers import Server, free_port, serving

from tidegate.config.redis import Redis
from tidegate.doctor.redis_server import RedisServer, read_servers


@pytest.fixture(scope="module")
def server():
    with serving() as one:
        yield one


PATIENT = {"timeout": 60.0, "connect_timeout": 60.0}


def read(server: Server, prefixes=("",), **settings) -> RedisServer:
    link = Redis(url=f"redis://{server.address}/0", **PATIENT, **settings)
    (found,) = read_servers({"main": link}, {"main": prefixes})
    return found


def test_a_server_is_read_as_it_is(server):
    server.ask("FLUSHALL")
    server.ask("SET", "small", "x")
    server.ask("SET", "shared", "x" * (2 << 20))
    server.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    server.ask("SLOWLOG", "RESET")
    server.ask("SET", "slow", "a secret")
    server.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    found = read(server)
    assert (found.error, found.link, found.address, found.is_on_this_machine) == ("", "main", server.address, True)
    assert found.number("connected_clients") >= 1 and found.info["role"] == "master"
    assert found.setting("maxclients") == 10_000 and found.config["maxmemory-policy"] == "noeviction"
    assert len(found.round_trips_s) == 20 and min(found.round_trips_s) > 0
    assert (found.keys_total, found.keys_seen) == (3, 3)
    assert found.big_keys[0].key == "shared" and found.big_keys[0].size >= 2 << 20
    assert any(one.command == "SET slow" for one in found.slow)
    assert not any("secret" in one.command for one in found.slow)
    assert found.number("nonsense") is None and found.setting("nonsense") is None


def test_only_keys_of_the_prefixes_are_looked_at(server):
    server.ask("FLUSHALL")
    for name in ("a:1", "a:2", "b:1", "a*", "c:1"):
        server.ask("SET", name, "x")
    found = read(server, ("a:", "b:"))
    assert (found.keys_total, found.keys_seen) == (5, 3)
    assert read(server, ("a*",)).keys_seen == 1


def test_nothing_is_left_connected(server):
    before = len(server.ask("CLIENT", "LIST").splitlines())
    read(server)
    assert len(server.ask("CLIENT", "LIST").splitlines()) == before


def test_a_server_that_lets_us_look_at_little_is_read_as_far_as_it_lets_us(server, monkeypatch):
    server.ask("ACL", "SETUSER", "little", "on", ">secret", "+ping", "+info", "+hello", "+client", "+select", "~*")
    monkeypatch.setenv("DOCTOR_PASSWORD", "secret")
    found = read(server, user="little", password="env:DOCTOR_PASSWORD")
    assert found.error == "" and found.info["role"] == "master"
    assert (found.config, found.slow, found.big_keys, found.keys_total) == (None, None, None, None)


def test_a_server_that_is_away_is_told(monkeypatch):
    (found,) = read_servers({"main": Redis(url=f"redis://127.0.0.1:{free_port()}", timeout=30.0)})
    assert found.error and found.info is None and found.number("used_memory") is None


def test_the_nodes_of_a_cluster_are_found_and_each_is_read():
    with serving("--cluster-enabled", "yes") as one:
        one.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        (found,) = read_servers({"main": Redis(url=f"redis://{one.address}", cluster=True, **PATIENT)})
        assert found.error == "" and found.info["cluster_enabled"] == "1"
    assert read_servers({}) == ()
    assert threading.active_count() < 50
