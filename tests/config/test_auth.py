"""What ``[auth.NAME]`` holds after its check."""

from tests.config.gateways import PLAIN, accepted

from tidegate.config.auth import tiers_of

DIGEST = "sha256:" + "0f" * 32


def test_key_has_defaults_for_all_but_its_digest_and_subject() -> None:
    gateway = accepted(PLAIN + f'[auth.a]\nkind = "key"\nkeys = [{{ key = "{DIGEST}", subject = "acme" }}]\n')
    auth = gateway.auth["a"]
    assert (auth.header, auth.scheme, auth.keep) == ("X-API-Key", None, False)
    (key,) = auth.keys
    assert (key.subject, key.tenant, key.tier, key.priority) == ("acme", "", "", 0)
    assert tiers_of(gateway.auth) == set()


def test_tiers_are_those_of_all_keys() -> None:
    keys = ", ".join(
        f'{{ key = "sha256:{number:064x}", subject = "s", tier = "{tier}" }}'
        for number, tier in enumerate(("gold", "free", "gold"))
    )
    assert tiers_of(accepted(PLAIN + f'[auth.a]\nkind = "key"\nkeys = [{keys}]\n').auth) == {"gold", "free"}
