"""The incidents, one a file, in the order in which they are told: those that took gateways down, then smaller ones."""

from collections.abc import Mapping

from tidegate.lab.scenario import Scenario
from tidegate.lab.scenarios.blocked_loop import BlockedLoop
from tidegate.lab.scenarios.crossed_pool import CrossedPool
from tidegate.lab.scenarios.gc_spikes import GcSpikes
from tidegate.lab.scenarios.heavy_call import HeavyCall
from tidegate.lab.scenarios.limiter import Limiter
from tidegate.lab.scenarios.listen_overflow import ListenOverflow
from tidegate.lab.scenarios.ports import Ports
from tidegate.lab.scenarios.slow_auth import SlowAuth
from tidegate.lab.scenarios.stampede import Stampede
from tidegate.lab.scenarios.surge import Surge

__all__ = ["SCENARIOS"]

_ALL = (Stampede, Ports, Limiter, BlockedLoop, CrossedPool, HeavyCall, SlowAuth, ListenOverflow, GcSpikes, Surge)

SCENARIOS: Mapping[str, Scenario] = {one.name: one() for one in _ALL}
