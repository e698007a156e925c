import os

from tidegate.doctor.running import RunningUpstream, read_running

DOCUMENT = {
    "pid": 5,
    "uptime_s": 12.5,
    "snapshot": {"etag": "e", "source": "/a.toml"},
    "saturation": 1.5,
    "saturation_signals": {"loop_lag": 0.2, "backlog": 1.5},
    "suspects_itself": True,
    "workers": [{"index": 0, "pid": os.getpid(), "state": "ready", "restarts": 2, "last_death": "d", "else": 1}],
    "upstreams": [{"name": "a", "exchanges_total": 3, "seconds_total": 1.5, "waiting": 1, "rtt_ms": None}],
    "limits": [
        {"name": "learned", "learned": [{"key": None, "limit": 40, "decisions_total": 3}]},
        {"name": "undecided", "learned": [{"key": None, "limit": 100, "decisions_total": 0}]},
        {"name": "keyed", "learned": [{"key": "10.0.0.1:1", "limit": 9, "decisions_total": 3}]},
        {"name": "fixed", "learned": []},
    ],
}


def test_status_is_read():
    found = read_running(DOCUMENT)
    assert (found.pid, found.etag, found.source, found.worst_signal) == (5, "e", "/a.toml", "backlog")
    assert found.suspects_itself and found.workers[0].restarts == 2
    assert found.upstreams == {"a": RunningUpstream(exchanges_total=3, seconds_total=1.5, waiting=1)}
    assert found.learned == {"learned": 40}
    assert found.descriptors is None or found.descriptors > 0


def test_a_gateway_of_another_version_may_say_less(tmp_path):
    found = read_running(
        {"pid": 5, "uptime_s": 1, "snapshot": {"etag": "e"}, "saturation": 0.0, "workers": []}, proc=str(tmp_path)
    )
    assert (found.source, found.worst_signal, found.upstreams, found.learned) == ("", "", {}, {})
    assert found.descriptors is None
