import pytest
from tests.doctor.patients import SERVER, TEXT, configured, found, patient, server, unseen, whole

from tidegate.doctor.redis_server import BigKey, RedisServer, SlowCommand

CHECKS = (
    "redis-away", "redis-clients", "redis-memory", "redis-slow", "redis-big-keys", "redis-fleet", "redis-pace",
    "redis-persistence",
)  # fmt: skip


def told(check, **facts):
    """Severities of what is found of one server, with what was seen."""
    return [
        (severity, seen.removeprefix("10.0.0.9:6379: "))
        for severity, _, seen in found(patient(servers=(server(**facts),)), check)
    ]


@pytest.mark.parametrize("check", CHECKS)
def test_a_server_that_is_well_has_nothing(check):
    assert found(patient(), check) == [] and unseen(patient(), check) == []


def test_one_that_is_away_loads_or_is_a_replica():
    away = RedisServer(link="main", address="10.0.0.9:6379", error="connection refused")
    assert found(patient(servers=(away,)), "redis-away") == [
        ("serious", "redis.main", "10.0.0.9:6379: connection refused")
    ]
    assert told("redis-away", info={"loading": "1"}) == [("serious", "it still loads its data")]
    replica = {"role": "slave", "master_host": "a", "master_port": "1"}
    assert told("redis-away", info=replica) == [("serious", "it is a replica of a:1")]
    cluster = configured(TEXT.replace("6379/0", "6379").replace(':6379"', ':6379"\ncluster = true'))
    assert found(patient(gateway=cluster, servers=(server(info=replica),)), "redis-away") == []


def test_places_for_clients():
    assert told("redis-clients", info={"connected_clients": "9000"}) == [
        ("warning", "9,000 of at most 10,000 clients are connected")
    ]
    coming = patient(running=None, servers=(server(config={"maxclients": "24"}),))
    (one,) = found(coming, "redis-clients")
    assert one[0] == "serious" and "2 workers bring up to 8" in one[2]
    assert told("redis-clients", info={"rejected_connections": "3"})[0][0] == "warning"


def test_settings_that_close_or_keep_the_wrong_connections():
    kept = told("redis-clients", config={"timeout": "60", "tcp-keepalive": "0", "tcp-backlog": "100"})
    assert [severity for severity, _ in kept] == ["warning", "warning", "note"]
    assert any(seen.startswith("timeout 60") for _, seen in kept)


def test_memory_without_a_bound_full_and_pushed_out():
    assert told("redis-memory", config={"maxmemory": "0"}) == [("warning", "maxmemory 0: it takes what there is")]
    full = {"info": {"used_memory": "990000000"}}
    assert told("redis-memory", **full, config={"maxmemory-policy": "noeviction"})[0][0] == "serious"
    assert told("redis-memory", **full)[0][0] == "warning"
    assert "12 keys were pushed out" in told("redis-memory", info={"evicted_keys": "12"})[0][1]
    assert told("redis-memory", config={"maxmemory-policy": "allkeys-random"})[0][0] == "warning"


def test_commands_that_were_slow_lately():
    slow = (SlowCommand("KEYS *", 0.5, 60.0), SlowCommand("GET a", 0.02, 60.0), SlowCommand("KEYS *", 9.0, 90_000.0))
    ((severity, seen),) = told("redis-slow", slow=slow)
    assert severity == "warning" and seen.startswith("2 commands") and seen.endswith("the worst 500 ms: KEYS *")
    assert told("redis-slow", slow=(SlowCommand("KEYS *", 1.5, 60.0),))[0][0] == "serious"
    assert told("redis-slow", slow=(SlowCommand("GET a", 0.005, 1.0),)) == []
    assert told("redis-slow", config={"slowlog-log-slower-than": "-1"}) == [("note", "the slow log is off")]


def test_the_shared_record_of_the_stampede():
    one = whole(
        patient(
            servers=(
                server(
                    big_keys=(BigKey("shared", 20 << 20), BigKey("b", 9)),
                ),
            )
        ),
        "redis-big-keys",
    )
    assert (one.severity, one.incident) == ("serious", "stampede")
    assert "shared 20.0 MiB" in one.seen and "b 0.0" not in one.seen
    assert "168 ms" in one.why
    assert told("redis-big-keys", big_keys=(BigKey("b", 2 << 20),))[0][0] == "warning"
    assert told("redis-big-keys", big_keys=(BigKey("b", 1 << 19),)) == []


def test_a_big_value_of_a_cache_is_mended_there():
    cached = configured(TEXT + '[cache.sessions]\nredis = "main"\n')
    facts = patient(gateway=cached, servers=(server(big_keys=(BigKey("cache:sessions:7", 20 << 20),)),))
    assert whole(facts, "redis-big-keys").mend.startswith('cache.sessions.redis_bytes_per_s = "50MiB"')
    facts = patient(gateway=cached, servers=(server(big_keys=(BigKey("other:7", 20 << 20),)),))
    assert whole(facts, "redis-big-keys").mend.startswith("split it")


def test_a_server_that_limits_of_a_fleet_share():
    fleet = configured(TEXT + '[limits.all]\nrate = "100/s"\nscope = "fleet"\nstore = "main"\n')
    steady = server(config={"maxmemory-policy": "noeviction"})
    assert found(patient(gateway=fleet, servers=(steady,)), "redis-fleet") == []
    assert found(patient(gateway=fleet), "redis-fleet") == [
        ("warning", "redis.main", "10.0.0.9:6379: maxmemory-policy allkeys-lfu, and all count there")
    ]
    slow = server(config={"maxmemory-policy": "noeviction"}, round_trips_s=(0.006,) * 20)
    one = whole(patient(gateway=fleet, servers=(slow,)), "redis-fleet")
    assert "a PING takes 6.0 ms, and limits.all waits for 10 ms at most" in one.seen
    assert one.mend.startswith('limits.all.latency_cap = "24ms"')


def test_one_that_is_far_busy_or_forks_for_long():
    assert told("redis-pace", round_trips_s=(0.005,) * 19 + (0.5,))[0][0] == "warning"
    assert told("redis-pace", round_trips_s=(0.0002,) * 19 + (0.5,)) == []
    assert told("redis-pace", info={"instantaneous_ops_per_sec": "140000"})[0][0] == "serious"
    assert told("redis-pace", info={"latest_fork_usec": "250000"}) == [("warning", "its last fork took 250 ms")]


def test_one_that_cannot_save_refuses_writes():
    assert told("redis-persistence", info={"rdb_last_bgsave_status": "err"}) == [
        ("serious", "rdb_last_bgsave_status: err")
    ]


def test_what_a_managed_server_refuses_is_said():
    from dataclasses import replace

    closed = replace(SERVER, config=None, slow=None, big_keys=None)
    facts = patient(servers=(closed,))
    assert unseen(facts, "redis-clients") and unseen(facts, "redis-slow") and unseen(facts, "redis-big-keys")
    assert all(found(facts, check) == [] for check in CHECKS)
