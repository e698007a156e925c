"""What cannot be meant of an adaptive limit is a finding."""

import pytest
from tests.config.gateways import LISTENER, ROUTE, UPSTREAM, accepted, told

from tidegate.config.allotment import LEARNERS


def limited(adaptive: str, more: str = "", route: str = 'limits = ["a"]') -> str:
    return f"{LISTENER}{UPSTREAM}[limits.a]\nadaptive = {adaptive}\n{more}\n{ROUTE}{route}\n"


@pytest.mark.parametrize(
    ("adaptive", "more"),
    [
        ('"vegas"', 'queue = 10\nqueue_timeout = "2s"\nstatus = 429\ndry_run = true'),
        ("{ floor = 1, ceiling = 1, initial = 1, suggest = true, overload = [429] }", ""),
        ('{ algorithm = "gradient", smoothing = 1.0, tolerance = 1.5, backoff = 0.5 }', ""),
        ('{ algorithm = "aimd", slow = "1s", windowed = { percentile = 0.5 } }', ""),
        ('{ waiting_field = "Server-Timing", target = "1ms", target_share = 0.1, window = "1m" }', ""),
        ("{ keys = 3 }", 'key = ["header:X-Tenant", "upstream"]'),
    ],
)
def test_limit_that_means_something_has_no_finding(adaptive: str, more: str) -> None:
    accepted(limited(adaptive, more))


@pytest.mark.parametrize(
    ("adaptive", "more", "expected"),
    [
        ("{ floor = 20, ceiling = 10 }", "", "adaptive.floor: of 20 is over the ceiling of 10"),
        ("{ initial = 5 }", "", "adaptive.initial: of 5 is not within 10 and 10000"),
        ("{ initial = 50, ceiling = 40 }", "", "adaptive.initial: of 50 is not within 10 and 40"),
        ('{ slow = "1s" }', "", "adaptive.slow: has no effect: it is for aimd"),
        (
            '{ algorithm = "vegas", target = "1ms" }',
            "",
            "adaptive.target: has no effect: it is for queue_delay and pid and bbr",
        ),
        (
            '{ algorithm = "aimd", waiting_field = "X-Queue" }',
            "",
            "adaptive.waiting_field: has no effect: waiting is looked at by queue_delay and pid and bbr and envoy",
        ),
        ("{ samples = 10 }", "", "adaptive.samples: of 10 end no interval: it has 20 at least"),
        (
            '{ target = "11s" }',
            "",
            "adaptive.target: of 11 s lets requests wait behind the upstream; `queue` lets them wait in front of it",
        ),
        (
            '{ interval = "20s", window = "30s" }',
            "",
            "adaptive.window: of 30 s holds no two intervals of 20 s",
        ),
        (
            '{ windowed = { shortest = "6s" } }',
            "",
            "adaptive.windowed.shortest: of 6 s is longer than 5 s",
        ),
        ("{ keys = 3 }", "", "adaptive.keys: has no effect without `key`"),
        (
            "{}",
            'key = "header:X-User"\noverrides.ann = { concurrency = 3 }',
            "overrides: have no effect: what is allowed is learned, for each key alike",
        ),
    ],
)
def test_what_cannot_be_meant_is_a_finding(adaptive: str, more: str, expected: str) -> None:
    assert told(limited(adaptive, more)) == [f"limits.a.{expected}"]


def test_a_limit_is_of_one_kind() -> None:
    (found,) = told(limited('"pid"', "concurrency = 5"))
    assert found == (
        "limits.a.adaptive: a limit has one of `rate`, `quota`, `concurrency` and `adaptive`, "
        "not concurrency and adaptive"
    )


def test_rows_to_learn_in_are_counted() -> None:
    many = "".join(f'[limits.l{n}]\nadaptive = {{ keys = 100 }}\nkey = "path"\n' for n in range(3))
    names = ", ".join(f'"l{n}"' for n in range(3))
    (found,) = told(f"{LISTENER}{UPSTREAM}{many}{ROUTE}limits = [{names}]\n")
    assert found.startswith(f"limits.l2.adaptive: has no room left to learn in: {LEARNERS} adaptive limits")
    assert found.endswith("want 300")


def test_listener_asks_before_there_is_anything_to_learn_of() -> None:
    text = f'{LISTENER}limits = ["a"]\n{UPSTREAM}[limits.a]\nadaptive = "pid"\n{ROUTE}'
    (found,) = told(text)
    assert found == 'listeners[0].limits[0]: "a" bounds what goes to upstreams: name it on these or on routes'
