"""Basic authentication."""

import asyncio
import base64
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.plane.harness import until

from tidegate import testing
from tidegate.filters import basic_auth
from tidegate.filters.basic_auth import BasicAuth, Entry

ANN = str(Entry.of("sesame", log2_n=10))
BOB = str(Entry.of("pässword:with:colons", log2_n=10))


def header(name: str, password: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


# -- entries ----------------------------------------------------------------------------------------------------------


def test_entry_fits_its_password_and_no_other() -> None:
    entry = Entry.parse(ANN)
    assert entry.fits("sesame")
    assert not entry.fits("Sesame")
    assert not entry.fits("")
    assert str(entry) == ANN
    assert str(Entry.of("sesame", log2_n=10)) != ANN


def test_entry_is_scrypt_as_others_compute_it() -> None:
    """The second vector of RFC 7914, section 12, cut to 64 bytes as it is there."""
    entry = Entry(10, 8, 16, b"NaCl" * 1, b"\0" * 64)
    assert entry.digest("password").hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")


@pytest.mark.parametrize(
    "text",
    [
        "sesame", "", "scrypt:", "scrypt:14:8:1:x", "scrypt:a:8:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA",
        "scrypt:14:8:1:AAAA:AAAAAAAAAAAAAAAAAAAAAAAA", "scrypt:14:8:1:AAAAAAAAAAAAAAAA:AAAA",
        "scrypt:9:8:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA",
        "scrypt:40:8:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA",
        "scrypt:20:99:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA", "scrypt:14:8:1:!!:AAAAAAAAAAAAAAAAAAAAAAAA",
    ],
)  # fmt: skip
def test_what_is_no_entry_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="entry") as caught:
        Entry.parse(text)
    assert text in ("", "scrypt:") or text not in str(caught.value)


def test_command_prints_an_entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: "sesame")
    basic_auth._main()
    entry = Entry.parse(capsys.readouterr().out.strip())
    assert entry.log2_n == 14
    assert entry.fits("sesame")
    words = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(words))
    with pytest.raises(SystemExit, match="two passwords"):
        basic_auth._main()


def test_command_takes_a_password_from_a_pipe() -> None:
    def run(given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tidegate.filters.basic_auth"],
            input=given, capture_output=True, text=True, timeout=30, check=False, start_new_session=True,
        )  # fmt: skip

    assert Entry.parse(run("sesame\n").stdout.strip()).fits("sesame")
    nothing = run("")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (1, "", "no password was given\n")


# -- requests ---------------------------------------------------------------------------------------------------------


def test_who_knows_a_password_comes_through() -> None:
    use = testing.use(BasicAuth, users={"ann": ANN, "bob": BOB}, user_header="X-User")
    with testing.gateway(use) as gw:
        assert gw.get("/", header("ann", "sesame") | {"X-User": "root", "X_User": "root"}).status == 200
        assert gw.get("/", header("bob", "pässword:with:colons", "bAsIc")).status == 200
        first, second = gw.upstream.received
        assert (first.get_all("X-User"), second.get_all("X-User")) == (["ann"], ["bob"])
        assert first.get("X_User") is None
        assert first.get("Authorization") is None
        assert [line["user"] for line in gw.log(2)] == ["ann", "bob"]
        assert not gw.errors


@pytest.mark.parametrize(
    "fields",
    [
        {}, header("ann", "wrong"), header("ann", ""), header("eve", "sesame"), header("Ann", "sesame"),
        header("ann", "sesame", "Bearer"), {"Authorization": "Basic"}, {"Authorization": "Basic !!!"},
        {"Authorization": "Basic YW5u"}, {"Authorization": "Basic //79"}, {"Authorization": ""},
        {"Authorization": "sesame"},
    ],
)  # fmt: skip
def test_everybody_else_is_asked_for_a_password(fields: dict[str, str]) -> None:
    with testing.gateway(testing.use(BasicAuth, users={"ann": ANN}, realm="the staff")) as gw:
        for _ in range(2):  # the second time it is remembered
            answer = gw.get("/", fields)
            assert answer.status == 401
            assert answer.get("WWW-Authenticate") == 'Basic realm="the staff", charset="UTF-8"'
            assert answer.get("Content-Type") == "application/problem+json"
        assert not gw.upstream.received
        assert not gw.errors
        assert "user" not in gw.log(1)[0]


def test_two_authorizations_are_none() -> None:
    auth = testing.make(BasicAuth, users={"ann": ANN})
    value = header("ann", "sesame")["Authorization"]
    assert auth.on_request(testing.request(headers=[("Authorization", value), ("authorization", value)])).status == 401


def test_credentials_can_go_on() -> None:
    with testing.gateway(testing.use(BasicAuth, users={"ann": ANN}, forward_credentials=True)) as gw:
        gw.get("/", header("ann", "sesame"))
        assert gw.upstream.received[0].get("Authorization") == header("ann", "sesame")["Authorization"]


def test_password_is_hashed_once_and_then_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    fits = Entry.fits
    monkeypatch.setattr(Entry, "fits", lambda self, password: hashed.append(1) or fits(self, password))
    with testing.gateway(testing.use(BasicAuth, users={"ann": ANN})) as gw:
        for _ in range(5):
            assert gw.get("/", header("ann", "sesame")).status == 200
        assert len(hashed) == 1
        for _ in range(3):
            assert gw.get("/", header("eve", "guess")).status == 401  # a name that nobody has costs the same
        assert len(hashed) == 2


def test_what_is_remembered_is_believed_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(basic_auth.time, "monotonic", lambda: now[0])
    auth = testing.make(BasicAuth, users={"ann": ANN}, remember="10s")

    def ask() -> Any:
        return auth.on_request(testing.request(headers=header("ann", "sesame")))

    async def through() -> Any:
        return await ask()

    assert asyncio.run(through()) is None
    now[0] += 9.9
    assert ask() is None
    now[0] += 0.2
    assert asyncio.run(through()) is None


def test_hashing_stands_beside_the_loop_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the one thread is held up, those with remembered credentials pass, equal ones share, too many get 503."""
    held, go = threading.Event(), threading.Event()
    fits = Entry.fits

    def slow(self: Entry, password: str) -> bool:
        if password.startswith("slow"):
            held.set()
            go.wait(20)
        return fits(self, password)

    class Kept(BasicAuth):
        def prepare(self) -> None:
            super().prepare()
            kept.append(self)

    kept: list[BasicAuth] = []
    monkeypatch.setattr(Entry, "fits", slow)
    monkeypatch.setattr(basic_auth, "_WAITING_MAX", 3)
    with testing.gateway(testing.use(Kept, users={"ann": ANN})) as gw, ThreadPoolExecutor(8) as clients:
        try:
            assert gw.get("/", header("ann", "sesame")).status == 200
            waiting = [clients.submit(gw.get, "/", header("ann", "slow")) for _ in range(3)]
            assert held.wait(10)
            waiting += [clients.submit(gw.get, "/", header("ann", f"guess {number}")) for number in range(2)]
            until(lambda: len(kept[0]._checks) == 3, "three different ones wait")
            assert gw.get("/", header("ann", "one more")).status == 503
            assert gw.get("/", header("ann", "sesame")).status == 200
        finally:
            go.set()
        assert [one.result(10).status for one in waiting] == [401] * 5
        assert not gw.errors


# -- options ----------------------------------------------------------------------------------------------------------


def test_entries_may_be_references(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOB_ENTRY", BOB)
    (tmp_path / "ann").write_text(ANN + "\n")
    auth = testing.make(BasicAuth, users={"ann": f"file:{tmp_path}/ann", "bob": "env:BOB_ENTRY"})
    assert auth._who("ann", "sesame") == "ann"
    assert auth._who("bob", "pässword:with:colons") == "bob"
    # What a snapshot holds, and /status could show, is the reference.
    assert ANN not in str(auth.users)


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({}, "users"),
        ({"users": {}}, "there is no user"),
        ({"users": {"ann": "sesame"}}, "expected an entry"),
        ({"users": {"ann": "scrypt:1:2:3"}}, r"users\.ann: an entry is"),
        ({"users": {"ann": "env:NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE is not set"),
        ({"users": {"ann": "file:/nowhere/at/all"}}, "cannot be read"),
        ({"users": {"a:b": ANN}}, "name of a user"),
        ({"users": {"€": ANN}}, "not Latin-1"),
        ({"users": {"ann": ANN}, "realm": 'a"b'}, "realm"),
        ({"users": {"ann": ANN}, "user_header": "X User"}, "name of a header field"),
    ],
)
def test_wrong_options_are_findings_that_show_no_secret(options: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValueError, match=finding) as caught:
        testing.make(BasicAuth, **options)
    assert "sesame" not in str(caught.value)
