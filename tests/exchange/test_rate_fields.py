"""What those who are let in are told of their limits, where the operator wants it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator

import pytest
from tests.plane.harness import Answer, Peer, Plane
from tests.plane.serving import Fields, Serving

pytestmark = pytest.mark.sanitize

KEY = "sha256:" + hashlib.sha256(b"k").hexdigest()
AUTH = f'[auth.a]\nkind = "key"\nkeys = [{{ key = "{KEY}", subject = "ann", tenant = "acme", tier = "gold" }}]\n'
EDGE = '[limits.edge]\nrate = "1/min"\nburst = 2\n'
CONTRACT = (
    '[limits.contract]\nquota = 9\nwindow = "1h"\nwindow_kind = "first_use"\nkey = "auth.tenant"\n'
    "tiers.gold = { quota = 5 }\n"
)


def answered(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
    peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRateLimit: "theirs";r=7\r\n\r\n')


@pytest.fixture(scope="module")
def upstream() -> Iterator[Serving]:
    with Serving(answered) as serving:
        yield serving


def asked(upstream: Serving, limits: str, names: str, times: int = 1, route: str = 'auth = "a"') -> list[Answer]:
    text = (
        f'{AUTH}{limits}\n[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
        f'[[routes]]\nname = "all"\nupstream = "u"\nlimits = [{names}]\n{route}\n'
    )
    with Plane(text) as plane, plane.connect() as client:
        answers = []
        for _ in range(times):
            client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nX-API-Key: k\r\n\r\n")
            answers.append(client.answer())
        return answers


def left(field: str) -> dict[str, tuple[int, int]]:
    """What a field tells of each limit: how many, and in how many seconds as many as ever, to the half minute."""
    found = re.findall(r'"(\w+)";r=(\d+);t=(\d+)', field)
    return {name: (int(many), 30 * math.ceil(int(seconds) / 30)) for name, many, seconds in found}


def test_by_default_only_refusals_tell(upstream: Serving) -> None:
    first, *_, last = asked(upstream, EDGE, '"edge"', 4)
    assert first.get("RateLimit-Policy") is None
    assert first.get_all("RateLimit") == ['"theirs";r=7']
    assert (last.status, left(last.get("RateLimit") or "")) == (429, {"edge": (0, 60)})


def test_every_answer_tells_what_is_left_of_each_limit_that_is_to_be_told_of(upstream: Serving) -> None:
    report = 'report = "always"\n'
    limits = (
        EDGE + report + CONTRACT.replace("tiers", report + "tiers") + '[limits.quiet]\nrate = "1000/s"\nburst = 1000\n'
    )
    first, second, _, refused = asked(upstream, limits, '"edge", "contract", "quiet"', 4)
    assert first.get("RateLimit-Policy") == '"edge";q=3;w=180, "contract";q=5;w=3600'
    theirs, ours = first.get_all("RateLimit")
    assert theirs == '"theirs";r=7'
    assert left(ours) == {"edge": (2, 60), "contract": (4, 3600)}
    assert left(second.get_all("RateLimit")[1]) == {"edge": (1, 120), "contract": (3, 3600)}
    assert left(refused.get_all("RateLimit")[0]) == {"edge": (0, 60)}


def test_older_fields_tell_of_the_limit_that_will_refuse_first(upstream: Serving) -> None:
    older = 'report = "always"\nheaders = ["X-RateLimit"]\n'
    limits = EDGE + older + CONTRACT.replace("tiers", older + "tiers")
    (answer,) = asked(upstream, limits, '"edge", "contract"')
    assert answer.get("RateLimit-Policy") is None
    assert [answer.get(f"X-RateLimit-{name}") for name in ("Limit", "Remaining")] == ["3", "2"]
    assert 30 < int(answer.get("X-RateLimit-Reset") or 0) <= 60


def test_permits_are_told_without_a_time(upstream: Serving) -> None:
    (answer,) = asked(upstream, '[limits.few]\nconcurrency = 3\nreport = "always"\n', '"few"')
    assert answer.get("RateLimit-Policy") == '"few";q=3;qu="concurrent-requests"'
    assert answer.get_all("RateLimit")[1] == '"few";r=2'


def test_dry_run_tells_nothing(upstream: Serving) -> None:
    (answer,) = asked(upstream, EDGE + 'report = "always"\ndry_run = true\n', '"edge"')
    assert answer.get("RateLimit-Policy") is None


def test_what_the_gateway_answers_itself_tells_too(upstream: Serving) -> None:
    text = EDGE + 'report = "always"\n[[routes]]\nname = "all"\nlimits = ["edge"]\nrespond = { body = "x" }\n'
    with Plane(text) as plane:
        assert left(plane.get().get("RateLimit") or "") == {"edge": (2, 60)}
