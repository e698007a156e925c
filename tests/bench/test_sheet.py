"""The frame of a page and its tables."""

from tests.bench.sheets import read

from tidegate.bench.sheet import sheet, table


def test_a_sheet_has_its_title_twice_and_its_parts_in_order():
    made, text = read(sheet("Load & more", ["<p>one</p>", "<p>two</p>"], "p { color: red; }"))
    assert made.startswith("<!DOCTYPE html>")
    assert "<title>Load &amp; more</title>" in made and "<h1>Load &amp; more</h1>" in made
    assert "p { color: red; }</style>" in made
    assert text.endswith("Load & more one two")


def test_what_stands_in_a_table_is_text():
    made = "".join(table(["kind", "<b>"], [["a", "<script>"], ["b", "2"]]))
    assert "<th>&lt;b&gt;</th>" in made
    assert "<td>&lt;script&gt;</td>" in made
    assert made.count("<tr>") == 3
