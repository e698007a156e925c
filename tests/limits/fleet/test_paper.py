"""What a dry run has come to."""

from tidegate.limits.fleet.paper import Paper


def test_each_request_is_counted_as_what_it_would_have_come_to() -> None:
    paper = Paper()
    for is_admitted in (True, False, True):
        paper.count(is_admitted)
    assert (paper.admitted, paper.would_refuse) == (2, 1)
