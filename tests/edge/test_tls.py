"""TLS towards clients: which certificate is shown to whom, what is spoken, and how renewed files come into use."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tidegate.config.listeners import Certificate as CertificateSettings
from tidegate.config.listeners import ListenerTLS
from tidegate.edge.tls import ServerTls, server_context

CA = trustme.CA()


def write(directory: Path, label: str, *names: str, ca: trustme.CA = CA) -> CertificateSettings:
    issued = ca.issue_cert(*names)
    cert, key = directory / f"{label}.pem", directory / f"{label}.key"
    cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    return CertificateSettings(cert=str(cert), key=str(key))


def client_context(**options: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    for name, value in options.items():
        setattr(context, name, value)
    return context


class Handshake:
    """Both ends of a connection in memory."""

    def __init__(
        self,
        server: ssl.SSLContext,
        name: str | None,
        client: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client or client_context()
        if name is None:
            context.check_hostname = False
        self.client = context.wrap_bio(to_client, to_server, server_hostname=name, session=session)
        self.server = server.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        # A byte each way, so that the client has read the tickets that follow the handshake.
        self.server.write(b"!")
        assert self.client.read(1) == b"!"

    def names(self) -> list[str]:
        shown = self.client.getpeercert()
        assert shown
        return [str(value) for _, value in shown["subjectAltName"]]


@pytest.fixture
def several(tmp_path: Path) -> ServerTls:
    return ServerTls(
        ListenerTLS(
            certificates=(
                write(tmp_path, "first", "first.example"),
                write(tmp_path, "api", "api.example.com"),
                write(tmp_path, "wild", "*.example.com", "example.com"),
            )
        )
    )


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("first.example", "first.example"),
        ("api.example.com", "api.example.com"),
        ("API.Example.COM", "api.example.com"),
        ("other.example.com", "*.example.com"),
        ("example.com", "*.example.com"),
    ],
)
def test_certificate_is_chosen_by_the_name_that_is_asked_for(several: ServerTls, asked: str, shown: str) -> None:
    assert Handshake(several.context, asked).names()[0] == shown


@pytest.mark.parametrize("asked", [None, "unknown.example", "a.b.example.com", "com"])
def test_first_certificate_is_for_everybody_else(several: ServerTls, asked: str | None) -> None:
    client = client_context(check_hostname=False)
    assert Handshake(several.context, asked, client).names() == ["first.example"]


def test_exact_name_of_the_first_certificate_beats_a_wildcard_of_another(tmp_path: Path) -> None:
    tls = ServerTls(
        ListenerTLS(
            certificates=(write(tmp_path, "a", "api.example.com"), write(tmp_path, "b", "*.example.com", "x.example"))
        )
    )
    assert Handshake(tls.context, "api.example.com").names() == ["api.example.com"]
    assert Handshake(tls.context, "web.example.com").names() == ["*.example.com", "x.example"]


def test_only_http1_is_offered_in_every_context(several: ServerTls) -> None:
    for name in ("first.example", "api.example.com"):
        client = client_context()
        client.set_alpn_protocols(["h2", "http/1.1"])
        assert Handshake(several.context, name, client).client.selected_alpn_protocol() == "http/1.1"


def test_old_versions_and_weak_ciphers_are_refused(several: ServerTls) -> None:
    old = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    assert Handshake(several.context, "first.example", old).client.version() == "TLSv1.2"
    static_rsa = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    static_rsa.set_ciphers("AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA256")
    with pytest.raises(ssl.SSLError):
        Handshake(several.context, "first.example", static_rsa)
    assert several.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_oldest_version_is_the_one_configured(tmp_path: Path) -> None:
    tls = ServerTls(ListenerTLS(certificates=(write(tmp_path, "a", "a.example"),), min_version="1.3"))
    assert Handshake(tls.context, "a.example").client.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        Handshake(tls.context, "a.example", client_context(maximum_version=ssl.TLSVersion.TLSv1_2))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["first.example", "api.example.com"])
def test_session_is_resumed(several: ServerTls, version: ssl.TLSVersion, name: str) -> None:
    client = client_context(maximum_version=version)
    first = Handshake(several.context, name, client)
    assert first.client.session_reused is False
    again = Handshake(several.context, name, client, first.client.session)
    assert again.client.session_reused is True


def test_renewed_certificate_comes_into_use_for_new_connections(tmp_path: Path) -> None:
    settings = ListenerTLS(certificates=(write(tmp_path, "a", "a.example"), write(tmp_path, "b", "b.example")))
    tls = ServerTls(settings)
    before = tls.context
    old = Handshake(before, "b.example")
    assert tls.reload_if_changed().changed is False and tls.context is before
    write(tmp_path, "b", "b.example", "new.example")
    assert tls.reload_if_changed().changed is True
    assert Handshake(tls.context, "new.example").names() == ["b.example", "new.example"]
    old.server.write(b"still here")
    assert old.client.read(100) == b"still here"


def test_touched_file_with_the_same_content_changes_nothing(tmp_path: Path) -> None:
    entry = write(tmp_path, "a", "a.example")
    tls = ServerTls(ListenerTLS(certificates=(entry,)))
    before = tls.context
    Path(entry.cert).write_bytes(Path(entry.cert).read_bytes())
    assert tls.reload_if_changed() == tls.reload_if_changed()
    assert tls.context is before


def empty(entry: CertificateSettings) -> None:
    Path(entry.cert).write_text("")


def remove(entry: CertificateSettings) -> None:
    Path(entry.key).unlink()


def half_renewed(entry: CertificateSettings) -> None:
    Path(entry.cert).write_bytes(CA.issue_cert("a.example").cert_chain_pems[0].bytes())


@pytest.mark.parametrize(
    ("damage", "said"),
    [(empty, "PEM certificate"), (remove, "No such file"), (half_renewed, "does not belong to the certificate")],
)
def test_bad_new_file_keeps_the_old_one_and_says_so(
    tmp_path: Path, damage: Callable[[CertificateSettings], None], said: str
) -> None:
    entry = write(tmp_path, "a", "a.example")
    tls = ServerTls(ListenerTLS(certificates=(entry,)))
    before = tls.context
    damage(entry)
    reload = tls.reload_if_changed()
    assert not reload.changed and reload.failure is not None
    assert said in reload.failure and "staying with" in reload.failure and "a." in reload.failure
    assert tls.context is before
    assert tls.reload_if_changed().failure is None, "said once"
    write(tmp_path, "a", "a.example", "again.example")
    assert tls.reload_if_changed().changed is True
    assert Handshake(tls.context, "again.example").names() == ["a.example", "again.example"]


@pytest.mark.parametrize("damage", [empty, remove, half_renewed])
def test_bad_file_at_the_start_raises(tmp_path: Path, damage: Callable[[CertificateSettings], None]) -> None:
    entry = write(tmp_path, "a", "a.example")
    damage(entry)
    with pytest.raises((OSError, ValueError), match=r"a\.(pem|key)"):
        ServerTls(ListenerTLS(certificates=(entry,)))


def test_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(tmp_path: Path) -> None:
    entry = write(tmp_path, "a", "a.example")
    Path(entry.key).write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ValueError, match="encrypted"):
        server_context(entry.cert, entry.key)


def test_watch_reloads_and_says_what_is_wrong(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry = write(tmp_path, "a", "a.example")
    tls = ServerTls(ListenerTLS(certificates=(entry,)))

    async def until(is_so: Callable[[], bool]) -> None:
        deadline = asyncio.get_running_loop().time() + 5.0
        while not is_so():
            assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
            await asyncio.sleep(0.005)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(tls.keep_current(0.01))
            half_renewed(entry)
            await until(lambda: "does not belong" in caplog.text)
            before = tls.context
            write(tmp_path, "a", "renewed.example")
            await until(lambda: tls.context is not before)
            await until(lambda: "new certificates for renewed.example" in caplog.text)
            watch.cancel()

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())


def test_statistics_name_what_is_in_use(several: ServerTls) -> None:
    assert [certificate.names for certificate in several.statistics()] == [
        ("first.example",),
        ("api.example.com",),
        ("*.example.com", "example.com"),
    ]
    assert repr(several).startswith("<ServerTls first.example, api.example.com, *.example.com, example.com; until ")
