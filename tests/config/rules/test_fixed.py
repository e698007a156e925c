"""What only a restart changes is a finding with its line, and the rest goes through."""

from pathlib import Path

import pytest
from tests.config.gateways import LISTENER, PLAIN, ROUTE, UPSTREAM, accepted

from tidegate.config.check import examine
from tidegate.config.load import load_text
from tidegate.config.rules.fixed import fixed_since, not_by_the_api

ACTIVE = PLAIN + "[server]\nworkers = 2\n"


def told(text: str, before: str = ACTIVE) -> list[str]:
    source = load_text(text, file="gateway.toml")
    return [str(one) for one in examine(source, Path(), [fixed_since(accepted(before))]).findings]


@pytest.mark.parametrize(
    ("more", "finding"),
    [
        ("[server]\nworkers = 3\n", "gateway.toml:9: server.workers: changing this takes a restart; it is 2 now"),
        ("[server]\n", "gateway.toml:8: server.workers: changing this takes a restart; it is 2 now"),
        (
            '[server]\nworkers = 2\nadmin = "127.0.0.1:1"\n',
            'gateway.toml:10: server.admin: changing this takes a restart; it is "127.0.0.1:9900" now',
        ),
        (
            '[server]\nworkers = 2\nstate_dir = "/tmp/x"\n',
            "gateway.toml:10: server.state_dir: changing this takes a restart; it is not set now",
        ),
        (
            "[server]\nworkers = 2\n[metrics]\nseries = 99\n",
            "gateway.toml:11: metrics.series: changing this takes a restart; it is 1000 now",
        ),
        (
            '[server]\nworkers = 2\n[[listeners]]\nbind = "127.0.0.1:8081"\n',
            "gateway.toml:11: listeners[1].bind: adding a listener takes a restart",
        ),
    ],
)
def test_what_takes_a_restart(more: str, finding: str) -> None:
    assert told(PLAIN + more) == [finding]


def test_listener_that_is_gone_or_bound_otherwise() -> None:
    other = '[[listeners]]\nbind = "127.0.0.1:8081"\n'
    assert told(PLAIN, PLAIN + other) == [
        "gateway.toml:1: listeners: removing the listener 127.0.0.1:8081 takes a restart"
    ]
    text = LISTENER + "backlog = 7\n" + UPSTREAM + ROUTE
    assert told(text, PLAIN) == ["gateway.toml:3: listeners[0].backlog: changing this takes a restart; it is 4096 now"]


@pytest.mark.parametrize(
    "text",
    [
        LISTENER + "max_headers = 7\n" + UPSTREAM + ROUTE,
        PLAIN.replace("9001", "9002"),
        PLAIN + '[[routes]]\nname = "more"\npath = "/more"\nupstream = "app"\n',
        PLAIN + '[server]\ndrain_timeout = "1s"\nwatch = true\nfilter_packages = ["acme"]\n',
    ],
)
def test_the_rest_goes_through(text: str) -> None:
    assert told(text, PLAIN) == []


def test_the_api_has_no_say_in_whose_code_runs() -> None:
    narrow, wide = (PLAIN + f"[server]\nfilter_packages = [{names}]\n" for names in ('"a"', '"a", "b"'))
    for before, now, count in ((narrow, wide, 1), (wide, narrow, 1), (narrow, narrow, 0)):
        source = load_text(now, file="request")
        findings = examine(source, Path(), [not_by_the_api(accepted(before))]).findings
        assert len(findings) == count
        assert all("cannot be changed through the API" in str(finding) for finding in findings)
