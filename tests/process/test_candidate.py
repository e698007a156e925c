"""What a candidate finds; how the supervisor takes it is in test_upgrade.py."""

from dataclasses import replace

import pytest

from tidegate.config.check import check_text
from tidegate.process.candidate import rebuild

TEXT = """
[[listeners]]
bind = "127.0.0.1:8080"

[[routes]]
name = "hello"
path = "/"
respond = { body = "hello" }
"""


def active(text=TEXT):
    snapshot, findings = check_text(text, number=7)
    assert snapshot is not None, findings
    return snapshot


def test_configuration_is_read_again_from_its_text():
    before = active()
    after = rebuild(before)
    assert after is not before
    assert (after.number, after.etag, after.source_text) == (7, before.etag, TEXT)


def test_configuration_without_a_text_is_taken_as_it_is():
    snapshot = replace(active(), source_text="")
    assert rebuild(snapshot) is snapshot


def test_configuration_that_this_program_refuses_is_told_with_its_findings():
    snapshot = replace(active(), source_text=TEXT + "\n[moon]\nphase = 1\n")
    with pytest.raises(ValueError, match=r"not valid for it.*configuration 7:10.*moon"):
        rebuild(snapshot)
