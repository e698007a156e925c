"""Keys of clients: each is somebody's."""

from tidegate.config.rules.subject import Subject

__all__ = ["check_auth"]


def check_auth(subject: Subject) -> None:
    """No key of a table stands for two."""
    for name, auth in subject.gateway.auth.items():
        firsts: dict[str, int] = {}
        for index, key in enumerate(auth.keys):
            first = firsts.setdefault(key.key, index)
            if first != index:
                line = subject.line(("auth", name, "keys", first))
                subject.find(("auth", name, "keys", index, "key"), f"is there already, in line {line}")
