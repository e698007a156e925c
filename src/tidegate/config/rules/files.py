"""Files that have to be there, can be read, and belong together."""

import os
import ssl
from pathlib import Path as FilePath

from tidegate.config.declarations import walk
from tidegate.config.findings import Path
from tidegate.config.kinds import File, WrittenFile
from tidegate.config.rules.subject import Subject

__all__ = ["check_files"]


def check_files(subject: Subject) -> None:
    """Files can be read or written, certificates can be used, keys belong to them."""
    bad = set()
    # What root opens is opened once, before it becomes the user who checks at a reload.
    is_opened_by_root = subject.gateway.server.user is not None and os.geteuid() != 0
    for path, kind, name in walk(subject.gateway, File):
        if isinstance(kind, WrittenFile):
            if name not in kind.words and not is_opened_by_root:
                _check_writable(subject, path, FilePath(name))
        elif (reason := _unreadable(FilePath(name))) is not None:
            subject.find(path, f"{name} cannot be read: {reason}")
            bad.add(name)
    for index, listener in enumerate(subject.gateway.listeners):
        for number, pair in enumerate(listener.tls.certificates if listener.tls is not None else ()):
            where: Path = ("listeners", index, "tls", "certificates", number)
            if not bad & {pair.cert, pair.key}:
                _check_pair(subject, where, pair.cert, pair.key)
    towards = [(("upstreams", name, "tls"), one.tls) for name, one in subject.gateway.upstreams.items()]
    towards += [(("redis", name, "tls"), redis.tls) for name, redis in subject.gateway.redis.items()]
    for where, tls in towards:
        if tls is None:
            continue
        if (tls.cert is None) != (tls.key is None):
            present, absent = ("cert", "key") if tls.key is None else ("key", "cert")
            if not subject.says((*where, absent)):  # otherwise it is there, and was found wrong already
                subject.find((*where, present), f"needs `{absent}` beside it")
        elif tls.cert is not None and tls.key is not None and not bad & {tls.cert, tls.key}:
            _check_pair(subject, where, tls.cert, tls.key)
        if tls.ca is not None and tls.ca not in bad:
            _check_roots(subject, (*where, "ca"), tls.ca)
        if tls.ca is not None and not tls.verify:
            subject.warn((*where, "ca"), "has no effect, because `verify` is false")


def _unreadable(path: FilePath) -> str | None:
    try:
        if path.is_dir():
            return "is a directory"
        with path.open("rb"):
            return None
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)


def _check_writable(subject: Subject, path: Path, name: FilePath) -> None:
    try:
        if name.is_dir():
            subject.find(path, f"{name} is a directory")
        elif not name.parent.is_dir():
            subject.find(path, f"there is no directory {name.parent}")
        elif not os.access(name if name.exists() else name.parent, os.W_OK):
            subject.find(path, f"{name} cannot be written: Permission denied")
    except (OSError, ValueError) as error:
        subject.find(path, f"{name} cannot be written: {error}")


def _check_pair(subject: Subject, path: Path, cert: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asked = []

    def password() -> str:
        asked.append(True)
        return ""

    try:
        context.load_cert_chain(cert, key, password=password)
    except (ssl.SSLError, ValueError, OSError) as error:
        reason = getattr(error, "reason", None) or str(error)
        if asked:
            subject.find(
                (*path, "key"), f"{key} is encrypted; a gateway that starts by itself needs a key without password"
            )
        elif "MISMATCH" in reason:
            subject.find((*path, "key"), f"{key} is not the key of {cert}")
        elif not _has_block(cert, b"CERTIFICATE-----"):
            subject.find((*path, "cert"), f"{cert} has no certificate in PEM form")
        elif not _has_block(key, b"PRIVATE KEY-----"):
            subject.find((*path, "key"), f"{key} has no private key in PEM form")
        else:
            subject.find((*path, "key"), f"{cert} and {key} cannot be used: {reason}")


def _has_block(name: str, ending: bytes) -> bool:
    try:
        return any(
            line.endswith(ending) for line in FilePath(name).read_bytes().splitlines() if line.startswith(b"-----B")
        )
    except OSError:
        return False


def _check_roots(subject: Subject, path: Path, name: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
    except (ssl.SSLError, OSError):
        subject.find(path, f"{name} has no certificate in PEM form")
