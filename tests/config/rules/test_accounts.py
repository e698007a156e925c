"""The user and the group that the gateway becomes."""

import pwd

import pytest
from tests.config.gateways import PLAIN, accepted, found

ROOT = pwd.getpwuid(0).pw_name
OTHER = next(one.pw_name for one in pwd.getpwall() if one.pw_uid != 0)
FREE = next(number for number in range(60_000, 70_000) if number not in {one.pw_uid for one in pwd.getpwall()})


def test_user_and_group_by_name_or_number() -> None:
    server = accepted(PLAIN + f'[server]\nuser = "{OTHER}"\ngroup = 0\n').server
    assert (server.user, server.group) == (OTHER, "0")
    number = pwd.getpwnam(OTHER).pw_uid
    assert accepted(PLAIN + f"[server]\nuser = {number}\n").server.user == str(number)
    assert accepted(PLAIN + f"[server]\nuser = {FREE}\ngroup = {FREE}\n").server.user == str(FREE)


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ('user = "no-such-user"', 'server.user: there is no user "no-such-user" on this machine'),
        (f'user = "{OTHER}"\ngroup = "no-such"', 'server.group: there is no group "no-such" on this machine'),
        ("group = 0", "server.group: has no effect without server.user: a process of root is root in any group"),
        (
            f"user = {FREE}",
            f"server.user: user {FREE} has no entry on this machine that says its group; set server.group",
        ),
        (
            f'user = "{ROOT}"\ngroup = {FREE}',
            f"server.user: {ROOT} is root, which is to be given up: name another user, or none",
        ),
        ("user = 0", "server.user: 0 is root, which is to be given up: name another user, or none"),
        ("user = -1", "server.user: expected a name or a number, got the number -1"),
        (f"user = {2**32 - 1}", f"server.user: expected a name or a number, got the number {2**32 - 1}"),
        ("user = true", "server.user: expected a name or a number, got true"),
        ('user = ""', 'server.user: expected a name or a number, got ""'),
    ],
)
def test_accounts_that_cannot_be_used(options: str, finding: str) -> None:
    (one,) = found(PLAIN + f"[server]\n{options}\n")
    assert f"{one.path}: {one.message}" == finding
