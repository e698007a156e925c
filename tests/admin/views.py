"""The view of a gateway that the tests of its admin API ask about: nobody is behind it."""

from typing import Any

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.observe.metrics import Metrics
from tidegate.process.view import GatewayView


def view_of(region: Region, **more: Any) -> GatewayView:
    """The view of a gateway with one listener, or with what ``more`` says."""
    fields: dict[str, Any] = {
        "snapshot": Snapshot.build(Gateway(listeners=(Listener(bind="127.0.0.1:1"),))),
        "region": region,
        "generation": 1,
        "started_ns": 1,
        "supervisor_pid": 41,
        "admin_address": "127.0.0.1:2",
        "ask_to_stop": lambda at_once: True,
        "metrics": Metrics(region),
    }
    return GatewayView(**{**fields, **more})
