"""Whose rights the gateway has: root binds and opens, and then every process goes on as another user.

Rules:
- The supervisor gives root up as well. It runs what control asks it to (an upgrade) and reads memory that workers
  write; one that stayed root would make root of whoever takes a worker over. nginx's master stays root because it
  binds and opens anew at a reload; here nothing is bound after the start.
- For good: real, effective and saved numbers, the groups of that user and no others, and nothing that is started later
  can get more (PR_SET_NO_NEW_PRIVS).
- What belongs to the user is made by the user (`assumed`): root follows no link that he may have laid.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.accounts import UnknownAccount, find_group, find_user
from tidegate.config.server import Server
from tidegate.process.failure import StartError

__all__ = ["Identity"]

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Identity:
    """A user with all its groups, as numbers; ``name`` is what the configuration calls it."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def wanted(cls, server: Server) -> "Identity | None":
        """Who the gateway is to become; None when it stays who it is.

        Raises:
            StartError: the user is not known here (any more) or is root, or we are not root and cannot become anybody.
        """
        if server.user is None:
            return None
        try:
            uid, entry = find_user(server.user)
            gid = find_group(server.group) if server.group is not None else None if entry is None else entry.pw_gid
        except UnknownAccount as unknown:
            raise StartError(f"server.user, server.group: {unknown}") from unknown
        if uid == 0:
            raise StartError(f"server.user: {server.user} is root, which is to be given up: name another user, or none")
        if gid is None:
            raise StartError(f"user {server.user} has no entry on this machine that says its group; set server.group")
        groups = (gid,) if entry is None else tuple(os.getgrouplist(entry.pw_name, gid))
        if os.getresuid() == (uid,) * 3 and os.getresgid() == (gid,) * 3:
            return None
        if os.geteuid() != 0:
            raise StartError(
                f"cannot become user {server.user}, as the gateway was not started by root "
                f"(start it as root, or as that user with its group, or take server.user out)"
            )
        return cls(server.user, uid, gid, groups)

    @contextlib.contextmanager
    def assumed(self) -> Iterator[None]:
        """Files are looked for, made and opened with the user's rights meanwhile; root only.

        Raises:
            StartError: it may not become that, and is who it was.
        """
        groups, gid = os.getgroups(), os.getegid()
        with contextlib.ExitStack() as back:
            try:
                os.setgroups(self.groups)
                back.callback(os.setgroups, groups)
                os.setegid(self.gid)
                back.callback(os.setegid, gid)
                os.seteuid(self.uid)
                back.callback(os.seteuid, 0)
            except OSError as error:
                raise self._refused(error) from error
            yield

    def take(self) -> None:
        """This process, and all that it starts, is the user from now on. StartError: it may not become that."""
        try:
            os.setgroups(self.groups)
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
            _forbid_new_privileges()
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StartError:
        return StartError(f"cannot become user {self.name}: {error.strerror} (that takes CAP_SETUID and CAP_SETGID)")


def _forbid_new_privileges() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
