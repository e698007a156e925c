"""Hides card numbers in the answers that pass.

A body comes in pieces, cut anywhere. What could be the beginning of a number at the end of a piece is held back until
the next one shows what it is; at the end of the body what is held goes out.
"""

import re

from tidegate import Filter, Request, ResponseHead

_CARD = re.compile(rb"(?<![0-9])[0-9]{12}([0-9]{4})(?![0-9])")
_TAIL = re.compile(rb"[0-9]{1,17}\Z")  # 17 digits are known not to be a card number


class Redact(Filter):
    """Leaves the last four digits."""

    def on_response(self, request: Request, response: ResponseHead) -> None:
        """Text only; and the answer is not what the upstream computed its ETag of."""
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/") or "json" in kind:
            request.store[Redact] = b""
            del response.headers["etag"]

    def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes | None:
        """None leaves the piece as it is."""
        held = request.store.get(Redact)
        if held is None:
            return None
        text = held + piece
        tail = None if is_last else _TAIL.search(text)
        at = len(text) if tail is None else tail.start()
        request.store[Redact] = text[at:]
        return _CARD.sub(rb"************\1", text[:at])
