"""Ranges of addresses whose forwarding fields are believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.exchange.trust import TrustedRanges

RANGES = TrustedRanges(["10.0.0.0/8", "192.168.7.0/25", "2001:db8::/33", "::1/128", "1.2.3.4/32"])


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("9.255.255.255", False),
        ("192.168.7.127", True),
        ("192.168.7.128", False),
        ("1.2.3.4", True),
        ("1.2.3.5", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("::1", True),
        ("::2", False),
        ("2001:db8:7fff::1", True),
        ("2001:db8:8000::1", False),
        ("2001:DB8::A", True),
        ("", False),
        ("10.0.0", False),
        ("10.0.0.1.", False),
        (" 10.0.0.1", False),
        ("unix:", False),
        ("f" * 100, False),
    ],
)
def test_address_in_ranges(address: str, is_in: bool) -> None:
    assert (address.encode() in RANGES) is is_in


def test_no_range_trusts_nobody() -> None:
    assert b"127.0.0.1" not in TrustedRanges()
    assert b"127.0.0.1" in TrustedRanges(["0.0.0.0/0"])
    assert b"::1" not in TrustedRanges(["0.0.0.0/0"])


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "x", ""])
def test_what_is_no_range_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        TrustedRanges([network])


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("", "near"),
        ("5.5.5.5", "5.5.5.5"),
        ("6.6.6.6, 5.5.5.5", "5.5.5.5"),
        ("6.6.6.6,5.5.5.5 ,\t10.1.1.1", "5.5.5.5"),
        ("6.6.6.6, 5.5.5.5, 10.1.1.1, 10.1.1.2", "5.5.5.5"),
        ("10.1.1.1, 10.1.1.2", "10.1.1.1"),
        ("5.5.5.5, , 10.1.1.1", "10.1.1.1"),
        ("5.5.5.5, unknown", "near"),
        ("5.5.5.5, _hidden, 10.1.1.1", "10.1.1.1"),
        ("2001:db8::1, 10.1.1.1", "2001:db8::1"),
        ("[2001:db9::1]:4711, 10.1.1.1", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1"),
        ("[", "near"),
        ("[]", "near"),
        (",", "near"),
        ("5.5.5.5:80", "near"),
    ],
)
def test_client_is_the_first_from_the_right_that_is_not_trusted(chain: str, client: str) -> None:
    assert RANGES.client(chain.encode(), b"near") == client.encode()


@given(st.lists(st.ip_addresses(), max_size=6), st.text("., :[]0123456789abcdef", max_size=40))
def test_client_is_always_one_of_the_chain_or_the_nearest(addresses: list[object], junk: str) -> None:
    chain = ", ".join([junk, *map(str, addresses)])
    found = RANGES.client(chain.encode(), b"near").decode()
    assert found == "near" or found in chain
    trusted = [str(one).encode() in RANGES for one in addresses]
    if not all(trusted):
        last = max(index for index, is_trusted in enumerate(trusted) if not is_trusted)
        assert found == str(addresses[last])
