"""Reason phrases."""

from http import HTTPStatus

from tidegate.wire.reasons import REASONS

RENAMED = {413, 414, 416, 422}  # by RFC 9110; Python followed with 3.13


def test_every_status_that_python_knows_has_its_phrase() -> None:
    assert set(REASONS) == {int(status) for status in HTTPStatus}
    differing = {int(status) for status in HTTPStatus if REASONS[status] != status.phrase}
    assert differing <= RENAMED


def test_phrases_are_those_of_rfc_9110() -> None:
    assert [REASONS[status] for status in sorted(RENAMED)] == [
        "Content Too Large",
        "URI Too Long",
        "Range Not Satisfiable",
        "Unprocessable Content",
    ]
