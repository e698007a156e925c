"""Names of the metrics, and the manual that lists them and the fields of the log."""

import re
from pathlib import Path

from tidegate.config.log_fields import COMBINED, DEFAULT_FIELDS, FIELDS, FORMAT_ONLY
from tidegate.observe.cache_metrics import CACHE
from tidegate.observe.learned import LEARNED
from tidegate.observe.metric_names import METRICS as COUNTED
from tidegate.observe.redis_metrics import REDIS
from tidegate.observe.store_metrics import STORE
from tidegate.observe.vital_metrics import VITALS

METRICS = (*COUNTED, *VITALS, *LEARNED, *REDIS, *CACHE, *STORE)

MANUAL = (Path(__file__).parents[2] / "docs" / "logs-and-metrics.md").read_text()
BOUNDED_LABELS = {"route", "upstream", "class", "direction", "side", "path", "cause", "bound", "worker", "state"} | {
    "signal",
    "interface",
    "limit",
    "verdict",
    "endpoint",
    "why",
    "redis",
    "command",  # of a link: 128 at most
    "result",
    "lane",
    "event",
    "keys",  # 64 at most
    "node",  # servers of a link, as many as there is room for series
    "reason",
    "size",
    "what",
    "cache",
    "tier",
}


def rows(heading: str) -> list[str]:
    """Rows of the table that begins with ``heading``."""
    _, found, rest = MANUAL.partition(f"| {heading} |")
    assert found, f"the manual has no table that begins with {heading!r}"
    return rest.split("\n\n")[0].splitlines()[2:]


def test_manual_lists_every_metric_as_it_is():
    assert rows("metric") == [
        f"| `{one.name}` | {one.type} | {', '.join(f'`{label}`' for label in one.labels) or 'none'} | {one.meaning} |"
        for one in METRICS
    ]


def test_manual_lists_every_field_as_it_is():
    asked = " (only when asked for)"
    assert rows("field") == [
        f"| `{one.name}` | {one.type} | {one.meaning}{'' if one.name in DEFAULT_FIELDS else asked} | {one.absent} |"
        for one in FIELDS
    ]
    assert rows("name") == [f"| `{name}` | {meaning} |" for name, meaning in FORMAT_ONLY.items()]
    assert COMBINED in MANUAL


def test_names_follow_prometheus_conventions():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"tidegate_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.type == "counter")
        assert not re.search(r"_(ns|ms|us|milliseconds|kb)\b", metric.name), "base units: seconds and bytes"
        if metric.scale == 1e9:
            assert "_seconds" in metric.name
        assert set(metric.labels) <= BOUNDED_LABELS, "a label without a bound fills the memory of who scrapes it"
        for _, labels in metric.counters:
            assert set(labels) == set(metric.labels) - {"worker"}
