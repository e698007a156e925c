"""One client: which answers are whole, which are errors, and of what kind."""

import ssl

import pytest
import trustme
from tests.bench.driving import GET, PATIENCE_S, Drive, evenly
from tests.plane.harness import Peer
from tests.plane.serving import OK, Serving

from tidegate.bench.schedule import Schedule
from tidegate.bench.tally import Tally
from tidegate.upstream.tls import TlsSettings

HEAD = b"HEAD / HTTP/1.1\r\nHost: server.test\r\n\r\n"


def ask(answer, *, times=3, texts=(GET,), ends=False, pieces=None):
    """So many requests down one client, each answered with these bytes; the server's count of connections as well."""

    def handle(peer, line, fields, body):
        for piece in pieces or (answer,):
            peer.send(piece)
        return ends

    with Serving(handle) as server:
        drive = Drive(server.address, texts, schedule=evenly(1000, times / 1000))
        assert drive.tally.due == times
        return drive, server.accepted


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_whole_answers_on_a_connection_that_is_kept(answer):
    drive, accepted = ask(answer)
    assert (sum(drive.answers.values()), drive.errors, accepted) == (3, {}, 1)
    assert drive.load.bytes_in == 3 * len(answer)
    assert drive.load.bytes_out == 3 * len(GET)


def test_answers_that_come_byte_by_byte_are_whole():
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    drive, accepted = ask(answer, pieces=[answer[at : at + 1] for at in range(len(answer))])
    assert (drive.answers, drive.errors, accepted) == ({201: 3}, {}, 1)


def test_answer_to_head_has_no_body():
    drive, accepted = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", texts=[HEAD])
    assert (drive.answers, drive.errors, accepted) == ({200: 3}, {}, 1)


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nup to the end", True),
    ],
)
def test_answers_after_which_the_connection_ends(answer, ends):
    drive, accepted = ask(answer, ends=ends)
    assert (drive.answers, drive.errors, accepted) == ({200: 3}, {}, 3)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "http_response_incomplete", "in the middle"),
        (b"HTTP/1.1 200 O", "http_response_incomplete", "in the middle"),
        (b"", "connection_terminated", "before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "http_protocol_error", "length"),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "http_protocol_error", "bare_lf"),
        (b"SSH-2.0-OpenSSH_9\r\n", "http_protocol_error", "bad_status_line"),
        (OK + b"more", "http_protocol_error", "more than its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "http_protocol_error", "bad_chunk_size"),
    ],
)
def test_answers_that_are_none(answer, kind, words):
    drive, accepted = ask(answer, ends=True)
    assert (drive.answers, drive.errors, accepted) == ({}, {kind: 3}, 3)
    assert words in drive.tally.errors[kind][1]


def test_reset_is_told_apart():
    def handle(peer, line, fields, body):
        peer.reset()
        return True

    with Serving(handle) as server:
        drive = Drive(server.address, schedule=evenly(1000, 0.003))
    assert drive.errors == {"connection_terminated": 3}


def test_bytes_that_nobody_asked_for_cost_the_connection():
    def handle(peer, line, fields, body):
        peer.send(OK)
        peer.send(OK)

    tally = Tally()
    with Serving(handle) as server:
        Drive(
            server.address,
            schedule=Schedule([(0.001, 1000, 1000), (PATIENCE_S, 0, 0)]),
            tally=tally,
            is_to_stop=lambda: bool(tally.lost or tally.errors),
        )
    # In one read with the answer they are an error of it, in a read of their own a connection that is lost.
    assert tally.lost + tally.errors.get("http_protocol_error", (0,))[0] == 1


class TlsServing(Serving):
    def __init__(self, handler, context):
        self.context = context
        super().__init__(handler)

    def peer(self, sock):
        try:
            return Peer(self.context.wrap_socket(sock, server_side=True))
        except OSError:
            return None


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("server.test").configure_cert(made)
    return made


def answer_in_tls(context, ca, **options):
    def handle(peer, line, fields, body):
        peer.send(OK)

    with TlsServing(handle, context) as server:
        settings = TlsSettings(name="server.test", ca=ca, **options)
        return Drive(server.address, schedule=evenly(1000, 0.005), clients=2, tls=settings)


def test_tls(context, authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    drive = answer_in_tls(context, str(tmp_path / "ca.pem"))
    assert (drive.answers, drive.errors) == ({200: 5}, {})
    assert drive.tally.connect.total == 2


def test_certificate_that_is_not_believed_is_an_error_of_that_kind(context):
    drive = answer_in_tls(context, None)
    assert set(drive.errors) == {"tls_certificate_error"}
    assert drive.answers == {}


def test_certificate_need_not_be_believed(context):
    assert answer_in_tls(context, None, verify=False).answers == {200: 5}


def test_server_that_speaks_no_tls_is_an_error_of_that_kind():
    def handle(peer, line, fields, body):
        return True

    class Greeting(Serving):
        def peer(self, sock):
            sock.sendall(b"220 ready\r\n")
            sock.close()

    with Greeting(handle) as server:
        drive = Drive(server.address, schedule=evenly(1000, 0.002), tls=TlsSettings(name="server.test", verify=False))
    assert set(drive.errors) == {"tls_protocol_error"}
