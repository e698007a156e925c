"""What certificates say about themselves, compared with an independent reader, and damaged ones refused."""

import ssl
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tidegate.edge.certificate import Certificate

CA = trustme.CA()
LEAF = CA.issue_cert("API.example.com", "*.example.org", "10.0.0.5", "::1")
PEM = LEAF.cert_chain_pems[0].bytes().decode()
DER = ssl.PEM_cert_to_DER_cert(PEM)


def test_names_and_end_are_what_an_independent_reader_finds() -> None:
    theirs = x509.load_pem_x509_certificate(PEM.encode())
    names = theirs.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
    found = Certificate.from_pem(PEM)
    assert list(found.names) == [name.lower() for name in names] == ["api.example.com", "*.example.org"]
    assert found.not_after == theirs.not_valid_after_utc


def test_chain_is_known_by_its_first_certificate() -> None:
    chain = f"# the gateway's own\n{PEM}\n{CA.cert_pem.bytes().decode()}"
    assert Certificate.from_pem(chain) == Certificate.from_pem(PEM)


def test_certificate_without_names_has_none() -> None:
    assert Certificate.from_pem(CA.cert_pem.bytes().decode()).names == ()


@pytest.mark.parametrize(("year", "tag"), [(2049, "UTCTime"), (2051, "GeneralizedTime")])
def test_both_notations_of_time_are_read(year: int, tag: str) -> None:
    end = datetime(year, 6, 1, 12, 30, 15, tzinfo=UTC)
    pem = CA.issue_cert("a.example", not_after=end).cert_chain_pems[0].bytes().decode()
    assert Certificate.from_pem(pem).not_after == end


@pytest.mark.parametrize("text", ["", "hello", PEM[:200], PEM.replace("BEGIN", "BEGUN")])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="PEM certificate"):
        Certificate.from_pem(text)


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_damaged_certificate_is_read_or_refused_and_nothing_else(at: int, byte: int) -> None:
    damaged = bytearray(DER)
    damaged[at] = byte
    for data in (bytes(damaged), bytes(damaged[:at])):
        try:
            Certificate.from_der(data)
        except ValueError:
            continue
