"""A filter on bodies: whole answers in a gateway, every cut by hand."""

from redact import Redact

from tidegate import Response, testing

BODY = b'{"card": 1234567890123456, "order": 12345678901234567, "short": 123}'
HIDDEN = BODY.replace(b"1234567890123456,", b"************3456,")


def test_numbers_are_hidden_in_text_only() -> None:
    """The length changes with the text, so the answer goes in chunks."""
    with testing.gateway(Redact) as gw:
        gw.upstream.answer = Response(200, BODY, {"Content-Type": "application/json", "ETag": '"1"'})
        answer = gw.get()
        assert (answer.body, answer.get("ETag")) == (HIDDEN, None)
        gw.upstream.answer = Response(200, BODY, {"Content-Type": "image/png"})
        assert gw.get().body == BODY


def test_pieces_may_be_cut_anywhere() -> None:
    """By hand, since no socket cuts as one wants."""
    redact = Redact()
    for cut in range(len(BODY)):
        request = testing.request()
        redact.on_response(request, testing.response(request, headers={"Content-Type": "text/plain"}))
        pieces = [
            redact.on_response_body(request, BODY[:cut], False),
            redact.on_response_body(request, BODY[cut:], True),
        ]
        assert b"".join(piece for piece in pieces if piece is not None) == HIDDEN
