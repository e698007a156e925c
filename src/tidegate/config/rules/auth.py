"""Keys of clients: each is somebody's, in a field that may be taken off a request."""

from tidegate.config.rules.fields import GATEWAYS_OWN, check_said, same_field
from tidegate.config.rules.subject import Subject

__all__ = ["check_auth"]

# The field of a key is taken off before a request goes on. Without its framing the body would be the next request.
_NEEDED = GATEWAYS_OWN | {"host"}


def check_auth(subject: Subject) -> None:
    """No key of a table stands for two, and none is in a field that a request needs."""
    for name, auth in subject.gateway.auth.items():
        if auth.realm is None:
            check_said(subject, ("auth", name), name)
        if same_field(auth.header) in _NEEDED:
            subject.find(("auth", name, "header"), f"cannot be {auth.header}: a request needs it for something else")
        firsts: dict[str, int] = {}
        for index, key in enumerate(auth.keys):
            first = firsts.setdefault(key.key, index)
            if first != index:
                line = subject.line(("auth", name, "keys", first))
                subject.find(("auth", name, "keys", index, "key"), f"is there already, in line {line}")
