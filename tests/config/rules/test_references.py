"""Names and secrets; cases/references.toml and cases/filters.toml have the wrong ones."""

from tests.config.gateways import PLAIN, found


def test_nearest_name_is_offered_and_others_are_listed() -> None:
    near, far = found(PLAIN + '[[routes]]\nname = "a"\npath = "/a"\nupstream = "ap"\nfilters = ["cors"]\n')
    assert (near.path, near.message, near.suggestion) == ("routes[1].upstream", 'no upstream is named "ap"', "app")
    assert (far.path, far.message, far.suggestion) == ("routes[1].filters[0]", 'no filter is named "cors"', "")
