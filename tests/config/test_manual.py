"""The page of the manual is what the declarations say."""

import tomllib
from pathlib import Path

from tests.config.gateways import accepted

from tidegate.config.declarations import declared
from tidegate.config.manual import option_table, page
from tidegate.config.options import option, section_of
from tidegate.config.schema import Route

DOCS = Path(__file__).parents[2] / "docs"


def test_page_in_the_manual_is_up_to_date() -> None:
    text = (DOCS / "configuration.md").read_text()
    assert text == page(), "write it anew: python -m tidegate.config.manual > docs/configuration.md"


def test_example_on_the_page_is_right() -> None:
    example = page().split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(example)
    assert [route.name for route in accepted(example).routes] == ["orders"]


def test_every_option_has_its_row() -> None:
    rows = page().splitlines()
    for name in declared(Route):
        assert any(row.startswith(f"| `{name}` |") for row in rows)
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows if row.startswith("|"))


def test_options_of_a_filter_are_a_table_too() -> None:
    class Plan:
        """Tells the plan."""

        header: str = option("X-Plan", "Name of the field.")

    assert '| `header` | text | `"X-Plan"` | Name of the field. |' in option_table(section_of(Plan))
