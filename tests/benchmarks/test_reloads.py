"""What can be said of the benchmark without running a gateway."""

from benchmarks.trouble.behind import CONFIGURATION
from benchmarks.trouble.changes import Change
from benchmarks.trouble.reloads import ROUTE, LoopLag

from tidegate.config.check import check_text
from tidegate.memory.region import Region


def test_ten_thousand_routes_are_a_configuration(tmp_path):
    text = '[server]\nfilter_packages = ["benchmarks"]\n[[listeners]]\nbind = "127.0.0.1:8080"\n'
    text += CONFIGURATION.format(small=9001, demo=9002, timeout=60) + "".join(
        ROUTE.format(n, n % 100) for n in range(50)
    )
    snapshot, findings = check_text(text, directory=tmp_path)
    assert findings == []
    assert len(snapshot.gateway.routes) == 53


def test_worst_lateness_is_that_of_the_time_of_the_changes(monkeypatch):
    monkeypatch.setattr("benchmarks.trouble.reloads.region_of", lambda _: Region.create(1))
    lag = LoopLag(None)
    lag._seen = [(1_000, 90.0), (2_000, 3.0), (3_000, 4.0), (9_000_000_000, 80.0)]
    assert lag.worst_ms([Change("reload", 2_000, 2_500)]) == 4.0
    assert lag.worst_ms([Change("reload", 5_000_000_000, 5_500_000_000)]) is None
    assert lag.worst_ms([]) is None
    lag._region.close()
