"""One page that needs nothing but itself, with both halves on one scale."""

import re

from tests.bench.sheets import read
from tests.lab.playing import Leak, played

from tidegate.lab.page import page


def test_it_tells_the_incident_and_shows_both_halves():
    made, text = read(page(played(Leak()), 0))
    assert made.count("<svg") == 2
    assert "As it happened" in text and "Through Tidegate" in text
    assert "It leaked." in text
    assert "A <leak>" in text
    assert "at most 0 ✓" in text
    assert "a note & more" in text
    assert "1 of 1 came out as they have to" in text
    assert not re.findall(r'(?:src|href)="(?!#)', made)


def test_what_did_not_hold_and_what_did_not_run_is_said():
    _, text = read(page(played(Leak(through=1), Leak(trouble="no Valkey: install one")), 0))
    assert "at most 0 ✗" in text
    assert "no Valkey: install one" in text
    assert "0 of 2 came out as they have to" in text
