import asyncio

import pytest

from tidegate.admin.host_guard import HostGuard, is_own_host


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:9900", "[::1]", "[::1]:9900", "localhost", "LOCALHOST:80", "10.1.2.3:9900", "admin.lan:1"],
)
def test_addresses_and_own_names_are_served(host):
    assert is_own_host(host, "admin.lan")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:9900",
        "127.0.0.1.evil.example",
        "localhost.",
        "admin.lan:x",
        "a:b",
        "1.2.3.4:",
    ],
)
def test_other_names_are_not(host):
    assert not is_own_host(host, "admin.lan")


def answered(headers):
    sent = []

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    asyncio.run(HostGuard(application, "admin.lan")({"type": "http", "headers": headers}, None, send))
    return sent[0]["status"]


def test_exactly_one_host_is_asked_for():
    assert answered([(b"host", b"localhost")]) == 200
    assert answered([]) == 421
    assert answered([(b"host", b"localhost"), (b"host", b"evil.example")]) == 421
