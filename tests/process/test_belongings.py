"""What is made for the user, and what is not given away."""

import contextlib
import os

import pytest
from tests.process.other_user import needs_root, nobody, open_path

from tidegate.config.listeners import Listener
from tidegate.config.logs import AccessLog, ErrorLog, Recorder
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.process import state_directory
from tidegate.process.belongings import claim_state, hand_over
from tidegate.process.failure import StartError
from tidegate.process.identity import Identity

__all__ = ["open_path"]

pytestmark = needs_root


@pytest.fixture
def identity():
    return Identity.wanted(Server(user="nobody"))


def gateway(log="-", access_log="off", **others):
    logs = {"error_log": ErrorLog(path=str(log)), "access_log": AccessLog(path=str(access_log))}
    return Gateway(listeners=(Listener(bind="127.0.0.1:0"),), **logs, **others)


def test_log_in_a_directory_of_root_is_made_for_the_user_or_given_to_him(open_path, identity):
    left = open_path / "access.log"
    left.write_text("a line\n")
    left.chmod(0o440)
    hand_over(gateway(open_path / "error.log", left), identity)
    for path in (open_path / "error.log", left):
        assert path.owner() == "nobody"
    assert left.read_text() == "a line\n"
    assert left.stat().st_mode & 0o777 == 0o640
    with identity.assumed(), left.open("a") as log:
        log.write("another\n")


@pytest.mark.parametrize("way", ["link", "hard link", "link above"])
def test_no_file_of_root_is_given_away_through_what_the_user_has_laid(open_path, identity, way):
    (open_path / "roots").mkdir(mode=0o755)
    secret = open_path / "roots" / "x.log"
    secret.write_text("secret")
    secret.chmod(0o600)
    his = open_path / "his"
    his.mkdir()
    os.chown(his, nobody().pw_uid, nobody().pw_gid)
    log = his / "x.log"
    match way:
        case "link":
            log.symlink_to(secret)
        case "hard link":
            log.hardlink_to(secret)
        case _:
            (his / "logs").symlink_to(secret.parent)
            log = his / "logs" / "x.log"
    with pytest.raises(StartError, match=f"the error log {log} cannot be opened as user nobody: Permission denied"):
        hand_over(gateway(log), identity)
    assert secret.stat().st_uid == 0


def test_hard_link_is_not_given_away(open_path, identity):
    (open_path / "secret").touch(mode=0o600)
    (open_path / "x.log").hardlink_to(open_path / "secret")
    with pytest.raises(StartError, match="it is no plain file of its own"):
        hand_over(gateway(open_path / "x.log"), identity)
    assert (open_path / "secret").stat().st_uid == 0


def test_log_of_somebody_else_stays_his(open_path, identity):
    log = open_path / "x.log"
    log.touch(mode=0o600)
    os.chown(log, 4321, 4321)
    with pytest.raises(StartError, match="it belongs to another user"):
        hand_over(gateway(log), identity)
    assert log.stat().st_uid == 4321


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775, 0o1775])
def test_log_where_others_may_write_is_not_given_away(open_path, identity, mode):
    log = open_path / "x.log"
    log.touch(mode=0o600)
    open_path.chmod(mode)  # of root's group, which the user is not in: an access list would look the same
    with pytest.raises(StartError, match="Permission denied"):
        hand_over(gateway(log), identity)
    assert log.stat().st_uid == 0


@pytest.mark.parametrize(("middle", "is_given"), [("roots", True), ("his", False)])
def test_every_link_on_the_way_to_a_log_has_to_be_roots(open_path, identity, middle, is_given):
    for name in ("logs", "roots", "his"):
        (open_path / name).mkdir()
    os.chown(open_path / "his", identity.uid, identity.gid)
    (open_path / middle / "on").symlink_to("../logs")
    os.chown(open_path / middle / "on", 0 if is_given else identity.uid, 0, follow_symlinks=False)
    (open_path / "first").symlink_to(open_path / middle / "on")
    (open_path / "logs" / "x.log").touch(mode=0o600)
    with contextlib.nullcontext() if is_given else pytest.raises(StartError, match="Permission denied"):
        hand_over(gateway(open_path / "first" / "x.log"), identity)
    assert (open_path / "logs" / "x.log").owner() == ("nobody" if is_given else "root")


def test_directory_of_recordings_is_made_and_one_that_is_there_stays_as_it_is(open_path, identity):
    there = open_path / "there"
    there.mkdir()
    for directory in (there, open_path / "a" / "new"):
        hand_over(gateway(recorder=Recorder(directory=str(directory))), identity)
    assert there.stat().st_uid == 0
    assert (open_path / "a" / "new").owner() == "nobody"
    assert (open_path / "a").stat().st_uid == 0


def test_state_directory_is_the_users_and_can_be_reached(open_path, identity, monkeypatch):
    monkeypatch.setenv("TIDEGATE_STATE_DIR", str(open_path / "lib" / "tidegate"))
    (open_path / "lib").mkdir()
    # as a gateway of root has made it: for root alone
    of_root = state_directory.for_file("/etc/first.toml")
    os.close(claim_state(of_root, None))
    assert of_root.parent.stat().st_mode & 0o777 == 0o700
    for file in ("/etc/first.toml", "/etc/second.toml"):
        directory = state_directory.for_file(file)
        fd = claim_state(directory, identity)
        try:
            with pytest.raises(StartError, match="another gateway"):
                claim_state(directory, identity)
        finally:
            os.close(fd)
        with identity.assumed():
            state_directory.prepare(directory)
            (directory / "lock").write_text("")
        again = claim_state(directory, identity)
        assert again >= 0
        os.close(again)


def test_state_of_a_gateway_that_runs_is_not_given_away(open_path, identity):
    directory = open_path / "state"
    fd = claim_state(directory, None)
    try:
        with pytest.raises(StartError, match=f"another gateway \\(pid {os.getpid()}\\)"):
            claim_state(directory, identity)
        assert directory.stat().st_uid == 0
    finally:
        os.close(fd)


def test_state_directory_of_somebody_else_stays_his(open_path, identity):
    directory = open_path / "state"
    directory.mkdir(mode=0o700)
    os.chown(directory, 4321, 4321)
    assert claim_state(directory, identity) == -1
    assert directory.stat().st_uid == 4321


def test_only_what_a_gateway_keeps_is_given_away(open_path, identity):
    directory = open_path / "state"
    os.close(claim_state(directory, None))
    for below in ("history", "recordings"):
        (directory / below).mkdir(mode=0o700)
    for name in ("mask.key", "last-good.yaml", ".last-good.yaml.17", "history/000001.json", "history/.000002.json.17"):
        (directory / name).touch(mode=0o600)
    for name in ("recording-20261127T005600Z-stall.jsonl.gz", ".recording-20261127T005600Z-stall-2.jsonl.gz.17.part"):
        (directory / "recordings" / name).touch(mode=0o600)
    os.close(claim_state(directory, identity))
    assert {path.owner() for path in (directory, *directory.rglob("*"))} == {"nobody"}


@pytest.mark.parametrize("other", ["id_rsa", "history/notes", "link", "hard link", "lost+found/"])
def test_directory_that_holds_anything_else_stays_roots(open_path, identity, other):
    directory = open_path / "state"
    os.close(claim_state(directory, None))
    (directory / "history").mkdir(mode=0o700)
    (open_path / "shadow").touch(mode=0o600)
    match other:
        case "link":
            (directory / "mask.key").symlink_to(open_path / "shadow")
        case "hard link":
            (directory / "mask.key").hardlink_to(open_path / "shadow")
        case "lost+found/":
            (directory / other).mkdir()
        case _:
            (directory / other).touch()
    with pytest.raises(StartError, match=r"is not given to user nobody, as .* is not a gateway's"):
        claim_state(directory, identity)
    assert {path.lstat().st_uid for path in (directory, *directory.rglob("*"), open_path / "shadow")} == {0}


def test_directory_that_others_may_look_into_stays_roots(open_path, identity):
    directory = open_path / "state"
    directory.mkdir(mode=0o755)
    assert claim_state(directory, identity) == -1
    assert directory.stat().st_uid == 0


def test_giving_that_was_cut_short_is_finished(open_path, identity):
    directory = open_path / "state"
    os.close(claim_state(directory, None))
    (directory / "history").mkdir(mode=0o700)
    (directory / "history" / "000001.json").touch(mode=0o600)
    for path in (directory / "history" / "000001.json", directory / "history"):
        os.chown(path, identity.uid, identity.gid)
    os.close(claim_state(directory, identity))
    assert {path.owner() for path in (directory, *directory.rglob("*"))} == {"nobody"}
