"""What can be said of the benchmark without running a gateway."""

from benchmarks.reloads import Gateway, percentile

from tidegate.config.check import check


def test_each_file_is_a_new_configuration(tmp_path):
    gateway = Gateway(tmp_path, routes=50)
    first, findings = check(gateway.path)
    assert findings == []
    assert len(first.gateway.routes) == 52
    gateway.write(1)
    assert check(gateway.path)[0].etag != first.etag


def test_percentile_of_what_is_not_sorted():
    values = [3.0, 1.0, 2.0, 4.0]
    assert (percentile(values, 0.5), percentile(values, 1.0)) == (3.0, 4.0)
