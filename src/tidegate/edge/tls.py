"""TLS towards clients: which certificate is shown to whom, and how a renewed one comes into use.

Every certificate has a context of its own. A connection begins with the first one's; when the client asks for a name
(SNI) that another certificate is for, OpenSSL calls back and the connection goes on with that one's. Exact names come
before wildcards, and a wildcard stands for one label (RFC 9525 section 6.3). A client that asks for a name nobody has
gets the first certificate and can judge for itself.
"""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tidegate.config.listeners import Certificate as CertificateSettings
from tidegate.config.listeners import ListenerTLS
from tidegate.edge.certificate import Certificate

__all__ = ["CertificateStatistics", "Reload", "ServerTls", "server_context"]

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 10.0
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# Of TLS 1.2 only what has forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Reload:
    """What looking for changed files came to: whether new certificates are in use, or what was wrong with them."""

    changed: bool
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateStatistics:
    """One certificate in use."""

    file: str
    names: tuple[str, ...]
    not_after: datetime


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A set of certificates that fit together: the first one's context, and what was read for it."""

    context: ssl.SSLContext
    certificates: tuple[CertificateStatistics, ...]
    digest: bytes


def server_context(cert: str, key: str, *, min_version: str = "1.2") -> ssl.SSLContext:
    """A context that shows one certificate, for HTTP/1.1.

    Args:
        cert: PEM file with the certificate and its chain.
        key: PEM file with its private key, not encrypted.
        min_version: Oldest version of TLS, "1.2" or "1.3".

    Raises:
        OSError: A file cannot be read, or (ssl.SSLError) they are not what they should be, or do not fit.
        ValueError: The key is encrypted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[min_version]
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # A client could make the server do handshakes for ever on one connection; TLS 1.3 has none of it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(cert, key, password=_refuse_password)
    return context


class ServerTls:
    """The certificates of one listener. ``context`` is for the next connection; read it anew for each.

    Args:
        settings: The listener's ``tls`` section.

    Raises:
        OSError: A file cannot be read, or is not what it should be.
        ValueError: A certificate that is damaged, or an encrypted key.
    """

    def __init__(self, settings: ListenerTLS) -> None:
        self.settings = settings
        self._stamp = self._look()
        self._loaded = self._load()

    @property
    def context(self) -> ssl.SSLContext:
        """The context to begin a connection with."""
        return self._loaded.context

    def reload_if_changed(self) -> Reload:
        """Brings renewed files into use for new connections; what is under way goes on with what it began with.

        Files that cannot be used, or do not fit together (a renewal writes one after the other), change nothing: what
        was loaded stays, and the next look tries again when they have changed once more.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return Reload(changed=False)
        self._stamp = stamp
        try:
            loaded = self._load()
        except (OSError, ValueError) as error:
            return Reload(changed=False, failure=f"{error}; staying with the certificates loaded before")
        if loaded.digest == self._loaded.digest:
            return Reload(changed=False)
        self._loaded = loaded
        return Reload(changed=True)

    @property
    def digest(self) -> bytes:
        """Of the certificates and keys in use."""
        return self._loaded.digest

    async def keep_current(self, every_s: float = LOOK_EVERY_S) -> None:
        """Looks for renewed files until it is cancelled, off the loop; to be run as a task."""
        while True:
            await asyncio.sleep(every_s)
            reload = await asyncio.get_running_loop().run_in_executor(None, self.reload_if_changed)
            if reload.failure is not None:
                logger.error("%s", reload.failure, extra={"kind": "certificate_failed"})
            elif reload.changed:
                logger.info("new certificates for %s", ", ".join(self._names()), extra={"kind": "certificates_changed"})

    def statistics(self) -> tuple[CertificateStatistics, ...]:
        """The certificates in use, in the order of the configuration."""
        return self._loaded.certificates

    def __repr__(self) -> str:
        first_end = min(certificate.not_after for certificate in self._loaded.certificates)
        return f"<ServerTls {', '.join(self._names()) or 'no names'}; until {first_end:%Y-%m-%d}>"

    def _names(self) -> list[str]:
        return [name for certificate in self._loaded.certificates for name in certificate.names]

    def _look(self) -> Stamp:
        """What a changed file would change, without reading it."""
        stamp = []
        for entry in self.settings.certificates:
            for path in (entry.cert, entry.key):
                try:
                    found = Path(path).stat()
                except OSError:
                    stamp.append((0, 0, 0))
                else:
                    stamp.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamp)

    def _load(self) -> _Loaded:
        digest = hashlib.blake2b()
        contexts: list[ssl.SSLContext] = []
        certificates: list[CertificateStatistics] = []
        for entry in self.settings.certificates:
            context, certificate = self._load_one(entry, digest.update)
            contexts.append(context)
            certificates.append(certificate)
        names: dict[str, ssl.SSLContext] = {}
        for context, certificate in zip(contexts, certificates, strict=True):
            for name in certificate.names:
                names.setdefault(name, context)
        if len(contexts) > 1:
            # No entry for the first context: it is the one that a connection has already, and a context whose callback
            # holds itself would be a cycle.
            others = {name: None if context is contexts[0] else context for name, context in names.items()}
            contexts[0].sni_callback = _chooser(others)
        return _Loaded(contexts[0], tuple(certificates), digest.digest())

    def _load_one(
        self, entry: CertificateSettings, note: Callable[[bytes], None]
    ) -> tuple[ssl.SSLContext, CertificateStatistics]:
        try:
            pem = Path(entry.cert).read_bytes()
            for content in (pem, Path(entry.key).read_bytes()):
                note(hashlib.blake2b(content).digest())
            found = Certificate.from_pem(pem.decode("ascii", "replace"))
            context = server_context(entry.cert, entry.key, min_version=self.settings.min_version)
        except ssl.SSLError as error:
            raise OSError(f"{entry.cert} with {entry.key}: {_reason(error)}") from error
        except ValueError as error:
            raise ValueError(f"{entry.cert} with {entry.key}: {error}") from error
        return context, CertificateStatistics(entry.cert, found.names, found.not_after)


def _chooser(names: dict[str, ssl.SSLContext | None]) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    """A callback that gives a connection the context for the name it asks for; None in ``names`` is the one it has."""

    def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name is None:
            return
        wanted = name.lower().removesuffix(".")
        found = names.get(wanted)
        if found is None and wanted not in names:
            _, dot, parent = wanted.partition(".")
            found = names.get(f"*.{parent}") if dot else None
        if found is not None:
            connection.context = found

    return choose


def _reason(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    return f"not what OpenSSL can read ({(error.reason or str(error)).lower().replace('_', ' ')})"


def _refuse_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a worker would wait for an answer for ever.
    raise ValueError("the private key is encrypted; the gateway reads only keys without a passphrase")
