"""Becoming somebody else, in processes that do."""

import os
import subprocess
import sys

import pytest
from tests.process.other_user import needs_root, nobody

from tidegate.config.server import Server
from tidegate.process.failure import StartError
from tidegate.process.identity import Identity


def in_a_child(code):
    """What it prints; it has the identity of `nobody` as ``identity``."""
    head = "import os\nfrom tidegate.config.server import Server\nfrom tidegate.process.identity import Identity\n"
    head += "identity = Identity.wanted(Server(user='nobody'))\n"
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_nobody_is_wanted_when_none_is_named_or_it_is_so_already(monkeypatch):
    assert Identity.wanted(Server()) is None
    monkeypatch.setattr("os.getresuid", lambda: (4321,) * 3)
    monkeypatch.setattr("os.getresgid", lambda: (1234,) * 3)
    assert Identity.wanted(Server(user="4321", group="1234")) is None


@needs_root
def test_group_and_groups_are_those_of_the_user():
    user = nobody()
    groups = tuple(os.getgrouplist("nobody", user.pw_gid))
    assert Identity.wanted(Server(user="nobody")) == Identity("nobody", user.pw_uid, user.pw_gid, groups)
    assert Identity.wanted(Server(user="4321", group="1234")) == Identity("4321", 4321, 1234, (1234,))


def test_what_is_wanted_and_cannot_be(monkeypatch):
    with pytest.raises(StartError, match='there is no user "no-such-user" on this machine'):
        Identity.wanted(Server(user="no-such-user"))
    with pytest.raises(StartError, match="user 4294967294 has no entry on this machine that says its group"):
        Identity.wanted(Server(user="4294967294"))
    for group in (None, "12345"):
        with pytest.raises(StartError, match=r"server\.user: 0 is root, which is to be given up"):
            Identity.wanted(Server(user="0", group=group))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(StartError, match=r"cannot become user 4321, as the gateway was not started by root"):
        Identity.wanted(Server(user="4321", group="1234"))


@needs_root
def test_rights_are_those_of_the_user_for_a_while(tmp_path):
    closed = tmp_path / "closed"
    closed.write_text("")
    closed.chmod(0o600)
    code = f"""
with identity.assumed():
    print(os.geteuid(), os.getegid(), os.getgroups() == list(identity.groups), os.access({str(closed)!r}, os.R_OK,
          effective_ids=True))
print(os.getresuid() == (0, 0, 0), os.getresgid() == (0, 0, 0), os.access({str(closed)!r}, os.R_OK, effective_ids=True))
"""
    user = nobody()
    assert in_a_child(code) == [f"{user.pw_uid} {user.pw_gid} True False", "True True True"]


@needs_root
def test_there_is_no_way_back():
    code = """
identity.take()
print(os.getresuid() == (identity.uid,) * 3, os.getresgid() == (identity.gid,) * 3, tuple(os.getgroups()))
for back in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try:
        back()
    except PermissionError:
        print("refused")
print("NoNewPrivs:\\t1" in open("/proc/self/status").read())
"""
    groups = tuple(os.getgrouplist("nobody", nobody().pw_gid))
    assert in_a_child(code) == [f"True True {groups}", *["refused"] * 4, "True"]


@needs_root
@pytest.mark.parametrize("lost", ["CAP_SETUID", "CAP_SETGID"])
@pytest.mark.parametrize("way", ["with identity.assumed(): pass", "identity.take()"])
def test_root_that_may_not_become_anybody_says_what_it_takes(lost, way):
    number = {"CAP_SETGID": 6, "CAP_SETUID": 7}[lost]
    again = f"""
import os
from tidegate.config.server import Server
from tidegate.process.failure import StartError
from tidegate.process.identity import Identity
identity, groups = Identity.wanted(Server(user="nobody")), os.getgroups()
try:
    {way}
except StartError as error:
    print(error)
print(os.getgroups() == groups, os.getresgid(), os.getresuid())
"""
    code = f"""
import ctypes
assert ctypes.CDLL(None).prctl(24, {number}, 0, 0, 0) == 0  # gone with the next program
import sys
os.execv(sys.executable, [sys.executable, "-c", {again!r}])
"""
    message, who = in_a_child(code)
    assert message == "cannot become user nobody: Operation not permitted (that takes CAP_SETUID and CAP_SETGID)"
    if "assumed" in way:  # it is who it was; `take` is for good, and ends the start
        assert who == "True (0, 0, 0) (0, 0, 0)"
