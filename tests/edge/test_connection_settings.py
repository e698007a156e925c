"""Options of a listener as its connections have them; what each does is tested through sockets, in tests/plane."""

import pytest

from tidegate.config.listeners import Listener
from tidegate.edge.connection_settings import ConnectionSettings


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "<ConnectionSettings head 10000 ms, idle 75000 ms, body 1073741824 bytes>"),
        (
            {"head_timeout": 0.25, "idle_timeout": 1e-6, "max_body": None},
            "<ConnectionSettings head 250 ms, idle 1 ms, body -1 bytes>",
        ),
    ],
)
def test_durations_are_whole_milliseconds_and_never_none(options: dict[str, float | None], shown: str) -> None:
    settings = ConnectionSettings(Listener(bind="127.0.0.1:80", **options))  # type: ignore[arg-type]
    assert repr(settings) == shown
