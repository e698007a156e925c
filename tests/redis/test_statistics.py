"""What a link tells of itself."""

from __future__ import annotations

from tests.redis.links import link_to, run
from tests.redis.servers import Server

from tidegate.redis.meters import Meters
from tidegate.redis.statistics import statistics_of


def test_a_link_that_was_never_used_has_nothing_to_tell() -> None:
    assert statistics_of("main", True, (), Meters()) == ("main", True, (), (), ())


def test_a_link_tells_of_its_lanes_commands_and_keys(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.set("told:1", "x")
            told = link.statistics()
            assert (told.name, told.is_available) == ("main", True)
            (lane,) = told.lanes
            assert (lane.name, lane.address, lane.is_connected) == ("data", server.address, True)
            assert (lane.commands, lane.writes, lane.connects, lane.reconnects) == (1, 1, 1, 0)
            (command,) = told.commands
            assert (command.name, command.calls, command.errors) == ("SET", 1, 0)
            assert command.p50_us > 0 and command.p50_us == command.p99_us
            assert [one.prefix for one in told.prefixes] == ["told"]

    run(scenario())
