import json

import pytest

from tidegate.process.failure import StartError
from tidegate.profile.output import FORMATS, check_name, write
from tidegate.profile.stacks import Stacks, parse_folded

STACKS = Stacks("samples", {("a", "b\ud800"): 3})


def test_the_end_of_the_name_says_the_format(tmp_path):
    for end in FORMATS:
        check_name(tmp_path / f"p{end}")
        write(tmp_path / f"p{end}", STACKS, "t", ["a note"])
    assert (tmp_path / "p.svg").read_text().startswith("<svg")
    assert "a note" in (tmp_path / "p.html").read_text()
    assert json.loads((tmp_path / "p.json").read_text())["profiles"][0]["weights"] == [3]
    assert parse_folded((tmp_path / "p.folded").read_text()).weights == {("a", "b\\ud800"): 3}


def test_a_name_or_place_that_will_not_do_is_said_at_once(tmp_path):
    for name, reason in (("p.png", "ends with .html"), ("none/p.svg", "no such directory")):
        with pytest.raises(StartError, match=reason):
            check_name(tmp_path / name)
    with pytest.raises(StartError, match="cannot write"):
        write(tmp_path / "none" / "p.svg", STACKS, "t")
