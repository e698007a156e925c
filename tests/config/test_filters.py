"""[filters.NAME]: what the model holds of a filter; cases/filters.toml has what can be wrong with one."""

from pathlib import Path

import pytest
from tests.config.gateways import PLAIN, accepted

from tidegate.config.filters import FilterUse

CASES = Path(__file__).parent / "cases"
FILTER = '[server]\nfilter_packages = ["acme_filters"]\n[filters.plan]\nclass = "acme_filters:Plan"\ntable = "plans"\n'


def test_options_are_plain_values_with_all_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CASES)
    use = accepted(PLAIN + FILTER + 'ttl = "2m"\n').filters["plan"]
    assert use.target == "acme_filters:Plan"
    assert use.options == {
        "header": "X-Plan",
        "ttl": 120.0,
        "mode": "soft",
        "table": "plans",
        "names": ("free", "gold"),
    }


def test_options_are_read_only_to_the_bottom() -> None:
    use = FilterUse(target="a:B", options={"plans": {"acme": ["gold"]}})
    with pytest.raises(TypeError):
        use.options["plans"]["acme"] = "free"
    assert use.options["plans"]["acme"] == ("gold",)
