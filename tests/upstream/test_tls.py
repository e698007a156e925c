"""TLS towards upstreams, against a real server side: who is believed, and what is said."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tidegate.config.upstreams import UpstreamTLS
from tidegate.upstream.tls import TlsSettings, client_context, prepare_context

CA = trustme.CA()


def server_context(*names: str, ca: trustme.CA = CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    ca.issue_cert(*names).configure_cert(context)
    return context


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection in memory, after the handshake; raises what either end raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert all(end.cipher() for end in ends)
    return ends


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(path)
    return str(path)


def test_server_that_proves_its_name_is_spoken_to_in_http1_only(ca_file: str) -> None:
    settings = TlsSettings(name="orders.internal", ca=ca_file)
    client, server = shake_hands(client_context(settings), server_context("orders.internal"), settings.name)
    assert client.version() == "TLSv1.3"
    assert client.selected_alpn_protocol() == server.selected_alpn_protocol() == "http/1.1"


def test_server_with_another_name_is_refused(ca_file: str) -> None:
    settings = TlsSettings(name="orders.internal", ca=ca_file)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(client_context(settings), server_context("billing.internal"), settings.name)


def test_server_of_an_unknown_authority_is_refused(ca_file: str) -> None:
    settings = TlsSettings(name="orders.internal", ca=ca_file)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client_context(settings), server_context("orders.internal", ca=trustme.CA()), settings.name)


def test_verification_is_on_unless_it_is_switched_off() -> None:
    stranger = server_context("somebody.else", ca=trustme.CA())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client_context(TlsSettings(name="orders.internal")), stranger, "orders.internal")
    trusting = TlsSettings(name="orders.internal", verify=False)
    client, _ = shake_hands(client_context(trusting), stranger, "orders.internal")
    assert client.cipher()


def test_server_sees_the_name_that_was_configured(ca_file: str) -> None:
    settings = TlsSettings.of(UpstreamTLS(ca=ca_file, name="orders.internal"), "10.0.0.5")
    seen: list[str | None] = []
    server = server_context("orders.internal")
    server.sni_callback = lambda _sock, name, _context: seen.append(name)
    shake_hands(client_context(settings), server, settings.name)
    assert seen == ["orders.internal"]
    assert TlsSettings.of(UpstreamTLS(), "10.0.0.5").name == "10.0.0.5"


def test_address_is_proved_by_a_certificate_for_it(ca_file: str) -> None:
    settings = TlsSettings(name="10.0.0.5", ca=ca_file)
    client, _ = shake_hands(client_context(settings), server_context("10.0.0.5"), settings.name)
    assert client.cipher()


def test_oldest_version_is_kept_to(ca_file: str) -> None:
    old = server_context("orders.internal")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client, _ = shake_hands(client_context(TlsSettings(name="orders.internal", ca=ca_file)), old, "orders.internal")
    assert client.version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError):
        shake_hands(
            client_context(TlsSettings(name="orders.internal", ca=ca_file, min_version="1.3")), old, "orders.internal"
        )


def test_client_certificate_is_shown_to_a_server_that_asks(ca_file: str, tmp_path: Path) -> None:
    own = CA.issue_cert("gateway.internal")
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.cert_chain_pems[0].write_to_path(cert)
    own.private_key_pem.write_to_path(key)
    asking = server_context("orders.internal")
    asking.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(asking)
    settings = TlsSettings(name="orders.internal", ca=ca_file, cert=str(cert), key=str(key))
    _, server = shake_hands(client_context(settings), asking, settings.name)
    shown = server.getpeercert()
    assert shown and ("DNS", "gateway.internal") in shown["subjectAltName"]


def test_context_is_made_once_and_anew_when_a_file_has_changed(ca_file: str) -> None:
    settings = TlsSettings(name="orders.internal", ca=ca_file)
    first = client_context(settings)
    assert client_context(TlsSettings(name="orders.internal", ca=ca_file)) is first
    assert prepare_context(settings) is first
    successor = trustme.CA()
    successor.cert_pem.write_to_path(ca_file)
    assert client_context(settings) is first, "a dial reads no file"
    second = prepare_context(settings)
    assert second is not first and client_context(settings) is second
    shake_hands(second, server_context("orders.internal", ca=successor), "orders.internal")


def garbage(path: Path) -> None:
    path.write_text("not a certificate")


def nothing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [garbage, nothing])
def test_bad_file_raises_and_keeps_what_was_there(ca_file: str, damage: Callable[[Path], None]) -> None:
    settings = TlsSettings(name="orders.internal", ca=ca_file)
    first = client_context(settings)
    damage(Path(ca_file))
    with pytest.raises((FileNotFoundError, ssl.SSLError)):
        prepare_context(settings)
    assert client_context(settings) is first


def test_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(tmp_path: Path) -> None:
    own = CA.issue_cert("gateway.internal")
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.cert_chain_pems[0].write_to_path(cert)
    key.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ValueError, match="encrypted"):
        client_context(TlsSettings(name="orders.internal", cert=str(cert), key=str(key)))
