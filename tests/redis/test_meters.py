"""What is counted by command and by the beginning of keys, and that both tables stay small."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.redis.links import link_to, run
from tests.redis.servers import Server

from tidegate.memory.histogram import bucket_of
from tidegate.redis.meters import Meters


def test_spellings_of_a_command_are_one_meter() -> None:
    meters = Meters()
    assert meters.command("get") is meters.command(b"GET") is meters.command("Get")
    assert [one.name for one in meters.every_command()] == ["GET"]


def test_keys_count_by_what_stands_before_their_first_colon() -> None:
    meters = Meters()
    assert meters.prefix("user:1:name") is meters.prefix(b"user:2")
    assert meters.prefix("user") is meters.prefix(":user") is meters.prefix(b"")
    assert [one.prefix for one in meters.every_prefix()] == ["user", ""]


def test_names_and_keys_of_callers_do_not_grow_the_tables_without_bound() -> None:
    meters = Meters()
    for number in range(10_000):
        meters.command(f"C{number}")
        meters.prefix(f"p{number}:")
    assert len(list(meters.every_command())) == 129
    assert len(list(meters.every_prefix())) == 65
    assert meters.command("C9999").name == "other"
    assert meters.prefix("p9999:").prefix == "other"


@given(st.text(max_size=10), st.binary(max_size=10))
def test_any_key_has_a_meter(text: str, data: bytes) -> None:
    meters = Meters()
    assert meters.prefix(text) is not None and meters.prefix(data) is not None


def test_commands_are_counted_with_their_bytes_and_latency(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.set("metered:1", b"x" * 1000)
            for _ in range(3):
                await link.data.get("metered:1")
            await link.data.call("MGET", "metered:1", "metered:2")
            get = link.meters.command("GET")
            assert (get.count, get.errors) == (3, 0)
            assert sum(get.buckets) == 3
            assert max(at for at, count in enumerate(get.buckets) if count) == bucket_of(get.max_us)
            assert get.total_us >= get.max_us
            prefix = link.meters.prefix("metered:")
            assert prefix.commands == 5
            assert prefix.bytes_in == 4 * 1000 + len(b"OK")
            assert 1000 < prefix.bytes_out < 1400

    run(scenario())
