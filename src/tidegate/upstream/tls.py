"""TLS towards the servers of an upstream."""

import hashlib
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from tidegate.config.upstreams import UpstreamTLS

__all__ = ["TlsSettings", "client_context", "forget_contexts", "prepare_context"]

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Everything about TLS that makes two connections different; part of a peer.

    ``name`` is sent as SNI and expected in the certificate, so it is filled in before a peer is made: two upstreams
    that reach one address under two names share no connection.
    """

    name: str
    verify: bool = True
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    min_version: str = "1.2"
    alpn: tuple[str, ...] = ("http/1.1",)

    @classmethod
    def of(cls, settings: UpstreamTLS, host: str) -> Self:
        """The settings of the configuration for an endpoint that is called ``host`` there."""
        return cls(
            name=settings.name or host,
            verify=settings.verify,
            ca=settings.ca,
            cert=settings.cert,
            key=settings.key,
            min_version=settings.min_version,
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    context: ssl.SSLContext
    stamp: tuple[bytes, ...]


_prepared: dict[TlsSettings, _Prepared] = {}
_lock = threading.Lock()


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context to dial with; made at first use and kept, so that sessions can be resumed.

    The server name is not part of it: pass ``settings.name`` as ``server_hostname``.

    Raises:
        OSError: A file cannot be read, or (ssl.SSLError) is not what it should be.
        ValueError: The private key is encrypted.
    """
    prepared = _prepared.get(_nameless(settings))
    return prepared.context if prepared is not None else prepare_context(settings)


def prepare_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context for ``settings``, made anew when one of its files has changed; for a new snapshot.

    A file that cannot be used raises and leaves the context that was there before.
    """
    key = _nameless(settings)
    with _lock:
        files = [Path(path) for path in (settings.ca, settings.cert, settings.key) if path is not None]
        stamp = tuple(hashlib.blake2b(file.read_bytes()).digest() for file in files)
        prepared = _prepared.get(key)
        if prepared is None or prepared.stamp != stamp:
            prepared = _prepared[key] = _Prepared(_make_context(settings), stamp)
        return prepared.context


def forget_contexts(gone: Iterable[TlsSettings], used: Iterable[TlsSettings]) -> None:
    """Lets go of the contexts that only ``gone`` had; with the roots of the system, one has a megabyte."""
    kept = {_nameless(settings) for settings in used}
    with _lock:
        for settings in gone:
            if _nameless(settings) not in kept:
                _prepared.pop(_nameless(settings), None)


def _nameless(settings: TlsSettings) -> TlsSettings:
    # A context knows no name, so endpoints that differ in nothing else share one.
    return replace(settings, name="")


def _make_context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.set_alpn_protocols(list(settings.alpn))
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca is not None:
        context.load_verify_locations(cafile=settings.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key, password=_refuse_password)
    return context


def _refuse_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a worker would wait for an answer for ever.
    raise ValueError("the private key is encrypted; the gateway reads only keys without a passphrase")
