"""Filters that the chaos test puts in the way: each remembers the token of its own request, and some fail at random.

Whether one fails or waits is decided by the request itself (``X-Mood``), so that a seed stays a seed.
"""

import asyncio

import tidegate
from tidegate import Request, Response, ResponseHead

__all__ = ["Bodies", "Sync", "Waiting"]


def _token(request: Request) -> str:
    return request.headers.get("x-token", "")


class Sync(tidegate.Filter):
    """Looks, sets, answers or raises within the callback."""

    def on_request(self, request: Request) -> Response | None:
        """Leaves the token for the way back."""
        mood = request.headers.get("x-mood", "")
        request.store["token"] = _token(request)
        request.headers["X-Filter-Token"] = _token(request)
        request.log["token"] = _token(request)
        if mood == "raise-request":
            raise RuntimeError("as asked")
        if mood == "answer-request":
            return Response(200, f"answered {_token(request)}", {"X-Answered": _token(request)})
        return None

    def on_response(self, request: Request, response: ResponseHead) -> Response | None:
        """Gives the token back: the client compares."""
        mood = request.headers.get("x-mood", "")
        response.headers["X-Store-Token"] = request.store.get("token", "")
        if mood == "raise-response":
            raise RuntimeError("as asked")
        if mood == "answer-response":
            return Response(418, f"answered {_token(request)}", {"X-Answered": _token(request)})
        return None

    def on_finish(self, request: Request) -> None:
        """Whatever the end was, it is this request's."""
        if request.store.get("token", "") != _token(request):
            raise AssertionError("the store is somebody else's")
        if request.headers.get("x-mood", "") == "raise-finish":
            raise RuntimeError("as asked")


class Waiting(tidegate.Filter):
    """Waits on both ways; may then answer, raise, or never come back."""

    async def on_request(self, request: Request) -> Response | None:
        """Sleeps a little and makes sure that the view is still the same request's."""
        mood = request.headers.get("x-mood", "")
        token = _token(request)
        request.store["waited"] = token
        if mood == "sleep-request":
            await asyncio.sleep(0.01)
        elif mood == "hang-request":
            await asyncio.sleep(60)
        elif mood == "deaf-request":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return Response(200, "a late answer for nobody")
        elif mood == "raise-request":
            await asyncio.sleep(0)
            raise RuntimeError("as asked")
        elif mood == "answer-request":
            await asyncio.sleep(0)
            return Response(200, f"answered {token}", {"X-Answered": token})
        if _token(request) != token:
            raise AssertionError("the view changed its request")
        return None

    async def on_response(self, request: Request, response: ResponseHead) -> Response | None:
        """The same on the way back."""
        mood = request.headers.get("x-mood", "")
        token = _token(request)
        if mood == "sleep-response":
            await asyncio.sleep(0.01)
        elif mood == "hang-response":
            await asyncio.sleep(60)
        elif mood == "raise-response":
            await asyncio.sleep(0.001)
            raise RuntimeError("as asked")
        elif mood == "answer-response":
            await asyncio.sleep(0.001)
            return Response(418, f"answered {token}", {"X-Answered": token})
        if _token(request) != token or request.store.get("waited", token) != token:
            raise AssertionError("the view changed its request")
        response.headers["X-Store-Token"] = token
        return None


class Bodies(tidegate.Filter):
    """Passes every piece on as it is, by way of Python."""

    def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> bytes | None:
        """Every second one is replaced by an equal one."""
        if request.headers.get("x-mood", "") == "raise-body" and is_last:
            raise RuntimeError("as asked")
        return bytes(bytearray(piece)) if len(piece) % 2 else None

    def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes | None:
        """The same."""
        if request.headers.get("x-mood", "") == "raise-piece" and is_last:
            raise RuntimeError("as asked")
        return bytes(bytearray(piece)) if len(piece) % 2 else None
