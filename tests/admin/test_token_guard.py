"""What needs the token, and what the guard says; over real sockets in tests/e2e/test_configuration.py."""

import asyncio

import pytest

from tidegate.admin.token_guard import TokenGuard


def application(name):
    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{name} {scope.get('tidegate.by', '')}".encode()})

    return answer


def ask(path, *authorization, reference="env:TIDEGATE_TEST_TOKEN"):
    """Status and body."""
    guard = TokenGuard(application("reading"), {"/status"}, application("commands"), lambda: reference)
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        raise AssertionError("the body is read by who is let through")

    headers = [(b"authorization", one) for one in authorization]
    asyncio.run(guard({"type": "http", "path": path, "headers": headers}, receive, send))
    return sent[0]["status"], sent[1]["body"]


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("TIDEGATE_TEST_TOKEN", "s3cret")


def test_what_is_read_needs_none():
    assert ask("/status") == (200, b"reading ")


def test_who_has_it_gets_the_commands_under_its_name():
    assert ask("/config", b"Bearer s3cret") == (200, b"commands token env:TIDEGATE_TEST_TOKEN")
    assert ask("/status", b"bearer s3cret")[1].startswith(b"commands")


@pytest.mark.parametrize(
    "given", [(), (b"Bearer wrong",), (b"Bearer ",), (b"Basic s3cret",), (b"s3cret",), (b"Bearer s3cret",) * 2]
)
def test_nobody_else_does(given):
    status, body = ask("/config", *given)
    assert status == 401
    assert b"s3cret" not in body


def test_wrong_token_is_refused_for_what_needs_none_too():
    assert ask("/status", b"Bearer wrong")[0] == 401


def test_empty_token_opens_nothing(monkeypatch):
    monkeypatch.setenv("TIDEGATE_TEST_TOKEN", "")
    assert ask("/config", b"Bearer ")[0] == 401


def test_token_that_cannot_be_read_opens_nothing(monkeypatch):
    monkeypatch.delenv("TIDEGATE_TEST_TOKEN")
    assert ask("/config", b"Bearer s3cret")[0] == 401


def test_without_a_configured_token_there_are_no_commands():
    assert ask("/config", b"Bearer s3cret", reference=None)[0] == 403
    assert ask("/config", reference=None)[0] == 403
    assert ask("/status", reference=None) == (200, b"reading ")
