"""What tests of the client's side share: one upstream behind every path, and how a refusal looks."""

import json

from tests.plane.harness import Answer, Peer, Plane, Upstream, until

from tidegate.wire.reasons import REASONS

CONFIG = """
[upstreams.a]
endpoints = ["{address}"]
{upstream}

[[routes]]
name = "all"
upstream = "a"
{route}
"""

GET = b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def one_upstream(upstream: Upstream, *, route: str = "", settings: str = "", more: str = "") -> str:
    """A configuration that sends everything to ``upstream``."""
    return CONFIG.format(address=upstream.address, upstream=settings, route=route) + more


def problem_type(answer: Answer) -> str:
    """The name in the ``type`` of a problem answer, which has to be one in every respect."""
    assert answer.get("Content-Type") == "application/problem+json", answer
    shown = json.loads(answer.body)
    assert shown["status"] == answer.status
    assert shown["type"].startswith("urn:tidegate:")
    return str(shown["type"].removeprefix("urn:tidegate:"))


def is_refused(client: Peer, status: int, name: str, to: str = "GET") -> None:
    """The next answer is this refusal, says that it is the last one, and is."""
    answer = client.answer(to=to)
    assert (answer.status, problem_type(answer)) == (status, name)
    assert answer.reason == REASONS[status]
    assert answer.get("Proxy-Status") == f'tidegate; error=http_request_error; details="{name}"'
    assert answer.get("Connection") == "close"
    assert client.is_closed()


def nobody_called(upstream: Upstream) -> bool:
    """Whether no connection waits at the upstream."""
    upstream.listening.settimeout(0)
    try:
        upstream.listening.accept()[0].close()
    except BlockingIOError:
        return True
    finally:
        upstream.listening.settimeout(10)
    return False


def at_rest(plane: Plane) -> None:
    """Nothing is left of anything, and the gateway found no fault in itself."""
    until(plane.is_at_rest, f"at rest; now {plane.statistics()}")
    assert "gateway_fault" not in plane.error_log.kinds()
    assert "filter_failed" not in plane.error_log.kinds()
