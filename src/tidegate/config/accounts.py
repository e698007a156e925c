"""Users and groups of this machine, by name or number."""

import grp
import pwd

__all__ = ["UnknownAccount", "find_group", "find_user"]


class UnknownAccount(LookupError):
    """This machine has no such user or group."""


def find_user(name: str) -> tuple[int, pwd.struct_passwd | None]:
    """The number of a user, and its entry; a number needs none.

    Raises:
        UnknownAccount: a name that this machine does not know.
    """
    try:
        entry = pwd.getpwuid(int(name)) if _is_number(name) else pwd.getpwnam(name)
    except KeyError:
        if _is_number(name):
            return int(name), None
        raise UnknownAccount(f'there is no user "{name}" on this machine') from None
    return entry.pw_uid, entry


def find_group(name: str) -> int:
    """The number of a group. UnknownAccount: a name that this machine does not know."""
    if _is_number(name):
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UnknownAccount(f'there is no group "{name}" on this machine') from None


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
