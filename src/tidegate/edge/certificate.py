"""What a certificate says about itself: the names it is for, and until when.

Python's ssl module reads certificates only from a peer, so the few fields are read here, from the DER (X.690) of the
first certificate in a PEM file. Nothing is verified: the file is the operator's own.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

__all__ = ["Certificate"]

_SEQUENCE: Final = 0x30
_OID: Final = 0x06
_BOOLEAN: Final = 0x01
_OCTET_STRING: Final = 0x04
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_VERSION: Final = 0xA0  # [0] of tbsCertificate
_EXTENSIONS: Final = 0xA3  # [3] of tbsCertificate
_DNS_NAME: Final = 0x82  # [2] of GeneralName
_SUBJECT_ALT_NAME: Final = bytes.fromhex("551d11")
_END: Final = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The DNS names of a certificate, in lower case, wildcards as they stand, and when it ends."""

    names: tuple[str, ...]
    not_after: datetime

    @classmethod
    def from_pem(cls, text: str) -> Self:
        """The first certificate in ``text``; ValueError when there is none, or it is damaged."""
        begin, end = text.find("-----BEGIN CERTIFICATE-----"), text.find(_END)
        if begin < 0 or end < begin:
            raise ValueError("expected a PEM certificate (-----BEGIN CERTIFICATE-----), found none")
        return cls.from_der(ssl.PEM_cert_to_DER_cert(text[begin : end + len(_END)]))

    @classmethod
    def from_der(cls, der: bytes) -> Self:
        """The certificate in ``der``; ValueError when it is damaged."""
        try:
            body = _fields(_fields(_only(der, _SEQUENCE))[0][1])
            if body[0][0] == _VERSION:
                del body[0]
            # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, …
            not_after = _time(*_fields(body[3][1])[1])
            extensions = [value for tag, value in body[6:] if tag == _EXTENSIONS]
            names = _dns_names(extensions[0]) if extensions else ()
        except (IndexError, UnicodeDecodeError) as error:
            raise ValueError("damaged certificate") from error
        return cls(names, not_after)


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """The (tag, value) pairs in ``data``, which has to hold nothing else."""
    found = []
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size >= 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4:
                raise ValueError("damaged certificate: a length of more than 4 bytes")
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + size > len(data):
            raise ValueError("damaged certificate: it ends too early")
        found.append((tag, data[at : at + size]))
        at += size
    return found


def _only(data: bytes, tag: int) -> bytes:
    """The value of the one field in ``data``."""
    fields = _fields(data)
    if len(fields) != 1 or fields[0][0] != tag:
        raise ValueError(f"damaged certificate: expected one field with tag {tag:#04x}")
    return fields[0][1]


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1: 50 to 99 are of the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("damaged certificate: no time where one is expected")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _dns_names(extensions: bytes) -> tuple[str, ...]:
    for _, extension in _fields(_only(extensions, _SEQUENCE)):
        parts = [part for part in _fields(extension) if part[0] != _BOOLEAN]  # critical
        if parts[0] == (_OID, _SUBJECT_ALT_NAME):
            if parts[1][0] != _OCTET_STRING:
                raise ValueError("damaged certificate: an extension without a value")
            names = _fields(_only(parts[1][1], _SEQUENCE))
            return tuple(value.decode("ascii").lower() for tag, value in names if tag == _DNS_NAME)
    return ()
