"""Who the gateway becomes: a user and a group that this machine has."""

from tidegate.config.accounts import UnknownAccount, find_group, find_user
from tidegate.config.findings import Path
from tidegate.config.rules.subject import Subject

__all__ = ["check_accounts"]

_USER: Path = ("server", "user")
_GROUP: Path = ("server", "group")


def check_accounts(subject: Subject) -> None:
    """User and group are there, and it can be told which group the user has."""
    server = subject.gateway.server
    if server.group is not None:
        if server.user is None and _USER not in subject.shaped.lost:
            subject.find(_GROUP, "has no effect without server.user: a process of root is root in any group")
        try:
            find_group(server.group)
        except UnknownAccount as unknown:
            subject.find(_GROUP, str(unknown))
    if server.user is not None:
        try:
            uid, entry = find_user(server.user)
        except UnknownAccount as unknown:
            subject.find(_USER, str(unknown))
        else:
            if uid == 0:
                subject.find(_USER, f"{server.user} is root, which is to be given up: name another user, or none")
            elif entry is None and server.group is None and _GROUP not in subject.shaped.lost:
                message = f"user {server.user} has no entry on this machine that says its group; set server.group"
                subject.find(_USER, message)
