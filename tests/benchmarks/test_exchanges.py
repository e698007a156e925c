from benchmarks.load.exchanges import RECORD, Exchange, Latencies, read

MS = 1_000_000


def write(path, *exchanges):
    path.write_bytes(b"".join(RECORD.pack(*exchange) for exchange in exchanges))
    return path


def test_exchanges_are_read_as_they_were_written(tmp_path):
    path = write(tmp_path / "raw", (1, 2, 3, 4711, 0, 1), (5, 6, 7, 0, 1, 0))
    assert list(read(path)) == [Exchange(1, 2, 3, 4711, False, True), Exchange(5, 6, 7, 0, True, False)]


def test_time_is_counted_from_when_an_exchange_was_due_in_the_group_of_that_moment(tmp_path):
    slow = [(10 * MS, 60 * MS, 10 * MS + at * MS, 1, 0, 0) for at in range(100, 0, -1)]
    path = write(tmp_path / "raw", *slow, (70 * MS, 70 * MS, 71 * MS, 1, 0, 0), (70 * MS, 70 * MS, 75 * MS, 1, 1, 0))
    latencies = Latencies(path, lambda due_ns: "early" if due_ns < 50 * MS else "late")
    assert (latencies.count("early"), latencies.count("late"), latencies.count("never")) == (100, 1, 0)
    assert latencies.quantile_ms("early", 0.5) == 51.0
    assert latencies.quantile_ms("early", 1.0) == 100.0
    assert latencies.quantile_ms("late", 0.99) == 1.0
    assert latencies.quantile_ms("never", 0.99) is None
    assert [len(failed) for failed in latencies.failed.values()] == [1]
