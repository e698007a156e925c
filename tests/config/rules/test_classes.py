"""Rules about classes of traffic and the shares that they have."""

import pytest
from tests.config.gateways import LISTENER, ROUTE, UPSTREAM, accepted, told

CLASSES = 'names = ["critical", "live", "batch"]'


def classed(classes: str, *, route: str = "", limit: str = "concurrency = 10\nqueue = 5") -> str:
    return f'{LISTENER}{UPSTREAM}[classes]\n{classes}\n[limits.a]\n{limit}\n{ROUTE}limits = ["a"]\n{route}\n'


def test_classes_that_mean_something_have_no_finding() -> None:
    said = 'default = "live"\nheader = "X-Class"\nheader_raises = true\npriorities = { critical = 10, batch = -1 }'
    shares = "concurrency = 10\nqueue = 5\nshares = { critical = 0.3, live = 0.6, batch = 0.1 }"
    accepted(classed(f"{CLASSES}\n{said}", route='traffic_class = "critical"', limit=shares))


@pytest.mark.parametrize(
    ("classes", "finding"),
    [
        ('default = "live"', "classes.default: has no effect without `names`"),
        ('names = ["a", "b", "c", "d", "e"]', "classes.names: has 5 classes; at most 4 are told apart"),
        ('names = ["a", "b", "a"]', 'classes.names[2]: "a" is there twice'),
        (f'{CLASSES}\ndefault = "life"', 'classes.default: no class is named "life"'),
        (
            f"{CLASSES}\npriorities = {{ bach = 1 }}",
            'classes.priorities.bach: no class is named "bach"',
        ),
        (
            f"{CLASSES}\npriorities = {{ critical = 1, live = 1 }}",
            "classes.priorities: have to fall from the most important class to the least",
        ),
        (f"{CLASSES}\nheader_raises = true", "classes.header_raises: has no effect without `header`"),
    ],
)
def test_classes_that_cannot_be_meant_are_found(classes: str, finding: str) -> None:
    assert told(classed(classes)) == [finding]


def test_name_of_a_class_can_be_a_label() -> None:
    (finding,) = told(classed('names = ["a b"]'))
    assert finding.startswith("classes.names[0]: is said in answers")


def test_route_of_a_class_that_nobody_declares_is_found() -> None:
    assert told(classed(CLASSES, route='traffic_class = "batsh"')) == [
        'routes[0].traffic_class: no class is named "batsh"'
    ]


@pytest.mark.parametrize(
    ("limit", "finding"),
    [
        ("queue = 5\nshares = { live = 0.9, batch = 0.2 }", "limits.a.shares: are 1.1 together, and there is 1"),
        ("shares = { live = 0.5 }", "limits.a.shares: need `queue`: what is lent comes back to who waits for it"),
        ("queue = 5\nshares = { batch = 0.09 }", "limits.a.shares.batch: of 10 permits is less than one"),
        ("queue = 5\nshares = { none = 0.5 }", 'limits.a.shares.none: no class is named "none"'),
    ],
)
def test_shares_that_nobody_can_have_are_found(limit: str, finding: str) -> None:
    (found,) = told(classed(CLASSES, limit=f"concurrency = 10\n{limit}"))
    assert found.startswith(finding)


def test_shares_are_of_concurrency() -> None:
    assert told(classed(CLASSES, limit='rate = "1/s"\nshares = { live = 0.5 }')) == [
        "limits.a.shares: has no effect: it is for a `concurrency` or `adaptive`"
    ]
