"""Names and secrets; cases/references.toml and cases/filters.toml have the wrong ones."""

from typing import Annotated

from tests.config.gateways import PLAIN, accepted, found

from tidegate import Filter, Ref, required
from tidegate.testing.classes import target_of


class Asks(Filter):
    """Names a table that the file has to have."""

    store: Annotated[str, Ref("redis")] = required("where it asks")


def test_name_that_an_option_of_a_filter_refers_to_is_looked_for_as_well() -> None:
    server = '[redis.main]\nurl = "redis://127.0.0.1:6379"\n'
    uses = f'[server]\nfilter_packages = ["tidegate.testing"]\n[filters.f]\nclass = "{target_of(Asks)}"\n'
    accepted(PLAIN + server + uses + 'store = "main"\n')
    (finding,) = found(PLAIN + server + uses + 'store = "mian"\n')
    assert (finding.path, finding.message) == ("filters.f.store", 'no redis is named "mian"')
    assert finding.suggestion == "main"


def test_nearest_name_is_offered_and_others_are_listed() -> None:
    near, far = found(PLAIN + '[[routes]]\nname = "a"\npath = "/a"\nupstream = "ap"\nfilters = ["cors"]\n')
    assert (near.path, near.message, near.suggestion) == ("routes[1].upstream", 'no upstream is named "ap"', "app")
    assert (far.path, far.message, far.suggestion) == ("routes[1].filters[0]", 'no filter is named "cors"', "")
