"""From a text to what is active, the supervisor played by the test; real workers are in tests/e2e/test_reload.py."""

import asyncio
import os

import pytest
from tests.config.gateways import PLAIN

from tidegate.config.check import check
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.process.history import History
from tidegate.process.messages import Publish, read_memory_file
from tidegate.process.reloader import Reloader, Stale

CHANGED = PLAIN + 'timeout = "9s"\n'


class Played:
    """A reloader, and a supervisor that answers what it is told to."""

    def __init__(self, tmp_path, region):
        self.path = tmp_path / "gateway.toml"
        self.path.write_text(PLAIN)
        self.reasons = []
        self.said = []
        self.published = []
        self.adopted = []
        self.history = History(tmp_path / "state")
        snapshot, _ = check(self.path, number=3)
        self.reloader = Reloader(
            snapshot,
            region,
            self.history,
            highest_number=5,
            send=self.publish,
            say=lambda kind, message, level="warning", **fields: self.said.append((kind, message)),
            adopted=self.adopted.append,
        )

    def publish(self, message):
        assert isinstance(message, Publish)
        snapshot = Snapshot.decode(read_memory_file(message.fd))
        assert snapshot.number == message.number
        with pytest.raises(PermissionError):
            os.pwrite(message.fd, b"x", 0)
        self.published.append(snapshot)
        asyncio.get_running_loop().call_soon(self.reloader.concluded, message.number, self.reasons)
        return True


@pytest.fixture
def played(tmp_path):
    region = Region.create(1)
    yield Played(tmp_path, region)
    region.close()


def run(coroutine):
    async def main():
        return await coroutine

    return asyncio.run(main())


def test_changed_file_becomes_active_under_a_number_never_tried(played):
    played.path.write_text(CHANGED)
    outcome = run(played.reloader.reload("ann"))
    assert (outcome.result, outcome.number) == ("active", 6)
    assert played.published[0].gateway.routes[0].timeout == 9.0
    assert played.adopted[0].etag == outcome.etag == played.reloader.active.etag
    assert played.said == [("reloaded", "configuration 6 is active")]
    last = played.history.last()
    assert (last.number, last.text, last.origin.by) == (6, CHANGED, "ann")
    assert '+   "timeout": "9s"' in last.difference


def test_unchanged_file_is_not_published(played):
    outcome = run(played.reloader.reload("ann"))
    assert (outcome.result, outcome.number, played.published) == ("unchanged", 3, [])


def test_invalid_file_changes_nothing(played):
    played.path.write_text(PLAIN + "x = 1\n")
    outcome = run(played.reloader.reload("ann"))
    assert (outcome.result, outcome.number, played.published, played.history.numbers()) == ("invalid", 3, [], [])
    assert outcome.findings[0].line == 8
    assert played.said[0][0] == "not_reloaded"


def test_file_that_is_gone_is_a_finding(played):
    played.path.unlink()
    outcome = run(played.reloader.reload("ann"))
    assert (outcome.result, outcome.findings[0].message) == ("invalid", "cannot be read: No such file or directory")


def test_what_a_worker_refuses_changes_nothing(played):
    played.path.write_text(CHANGED)
    played.reasons = ["worker 1: no room"]
    outcome = run(played.reloader.reload("ann"))
    assert (outcome.result, outcome.reasons, outcome.number) == ("not_published", ["worker 1: no room"], 3)
    assert (played.adopted, played.history.numbers()) == ([], [])
    played.reasons = []
    assert run(played.reloader.reload("ann")).number == 7


def test_supervisor_that_is_gone_ends_the_attempt(played):
    played.path.write_text(CHANGED)

    async def main():
        played.reloader._send = lambda message: (
            asyncio.get_running_loop().call_soon(played.reloader.abandon) is not None
        )
        return await played.reloader.reload("ann")

    assert asyncio.run(main()).reasons == ["the supervisor is gone"]


def test_attempts_are_made_one_after_the_other(played):
    async def main():
        played.path.write_text(CHANGED)
        etags = {played.reloader.active.etag}
        texts = [played.reloader.text_of_request(PLAIN + f'timeout = "{n}s"\n', is_yaml=False) for n in (1, 2)]
        return await asyncio.gather(
            *(played.reloader.put(text, "ann", etags=etags) for text in texts), return_exceptions=True
        )

    one, other = asyncio.run(main())
    assert one.result == "active"
    assert isinstance(other, Stale)
    assert len(played.published) == 1


def test_reload_says_that_it_replaces_what_came_through_the_api(played):
    text = played.reloader.text_of_request(CHANGED, is_yaml=False)
    assert run(played.reloader.put(text, "token env:T", etags={"*"})).number == 6
    assert (played.reloader.active.origin.kind, played.path.read_text()) == ("api", PLAIN)
    outcome = run(played.reloader.reload("ann"))
    assert outcome.message.startswith(
        "configuration 7 is active; it replaces configuration 6, which came through the API"
    )


def test_one_goes_back_to_what_was_active(played):
    run(played.reloader.keep_what_is_active())
    played.path.write_text(CHANGED)
    run(played.reloader.reload("ann"))
    etag = played.history.entry(3).etag
    outcome = run(played.reloader.roll_back(3, "bob"))
    assert (outcome.number, outcome.etag) == (7, etag)
    assert [(one.number, one.kind, one.by) for one in run(played.reloader.past())][:2] == [
        (7, "rollback", "bob"),
        (6, "file", "ann"),
    ]
    assert run(played.reloader.roll_back(99, "bob")) is None


def test_what_control_finds_active_is_kept_once(played):
    run(played.reloader.keep_what_is_active())
    run(played.reloader.keep_what_is_active())
    assert played.history.numbers() == [3]


def test_disk_that_takes_nothing_is_said_once_and_holds_up_nobody(played):
    played.history.directory.write_text("a file is in the way")
    for text in (CHANGED, PLAIN):
        played.path.write_text(text)
        assert run(played.reloader.reload("ann")).result == "active"
    assert [kind for kind, _ in played.said] == ["reloaded", "state_not_written", "reloaded"]


def test_check_changes_nothing(played):
    for text, result in ((CHANGED, "valid"), ("x = 1", "invalid")):
        outcome = run(played.reloader.check(played.reloader.text_of_request(text, is_yaml=False), "ann"))
        assert (outcome.result, outcome.number, played.published) == (result, 3, [])
    assert played.reloader.last is None


def test_what_is_active_is_shown(played):
    assert '"bind": "127.0.0.1:8080"' in run(played.reloader.shown())
    assert repr(played.reloader) == f"<Reloader 3 file {played.path}>"
