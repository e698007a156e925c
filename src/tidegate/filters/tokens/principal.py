"""Whom a token stands for, from the JSON object that says so: the claims of a JWT, the value of a session.

What is wanted of the object is named by paths: ``"user.id"`` is ``id`` of ``user``; a member whose own name is the
whole path comes first, because claims may be called ``https://example.com/plan``.
"""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from tidegate import Identity, Request

__all__ = ["Principal", "PrincipalReader", "field_text"]

PRIORITY_MAX = 1000
FIELDS_MAX = 16 << 10
"""Characters that all fields of one principal may have: what is sent on has to fit into the heads that servers take."""
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_OF_LIST = _PLAIN.replace(",", "")


class Principal(msgspec.Struct, frozen=True, eq=False, gc=False, omit_defaults=True):
    """Whom a token stands for, and what the upstream is told of it. It does not change, so many requests share one.

    It has no cycles, and there may be a hundred thousand of them: the collector does not look at them.

    Args:
        identity: For limits and filters; None: nobody.
        fields: Header fields, by name; None: the object has nothing to say in it.
        until_s: When the token ends by itself, on the clock of its kind; infinite: it does not say.
    """

    identity: Identity | None
    fields: tuple[tuple[str, str | None], ...]
    until_s: float = math.inf

    @property
    def size(self) -> int:
        """Bytes that it takes, with the objects around the texts, as sys.getsizeof has them."""
        size = 600
        for name, text in self.fields:
            size += 160 + len(name) + (0 if text is None else len(text))
        identity = self.identity
        return size if identity is None else size + 2 * (len(identity.subject) + len(identity.tenant))

    def apply(self, request: Request) -> None:
        """Says whom the request is from; what the client sent in these fields is gone."""
        if self.identity is not None:
            request.auth = self.identity
        headers = request.headers
        for name, text in self.fields:
            if text is None:
                del headers[name]
            else:
                headers[name] = text

    def __repr__(self) -> str:
        return f"<Principal {self.identity!r}, {len(self.fields)} fields>"


class PrincipalReader:
    """Makes principals of JSON objects.

    Args:
        headers: Paths by the name of the field that is set.
        subject: Path of who it is; None: nobody is named.
        tenant: Path of for whom; None, or nothing there: the subject.
        tier: Path of the plan; None: none.
        priority: Path of an integer; None: 0.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        *,
        subject: str | None,
        tenant: str | None = None,
        tier: str | None = None,
        priority: str | None = None,
    ) -> None:
        self._headers = tuple(headers.items())
        self._subject = subject
        self._tenant = tenant
        self._tier = tier
        self._priority = priority
        self.nobody = Principal(None, tuple((name, None) for name in headers))
        """What a request is that may come without a token."""

    def read(self, found: Mapping[str, Any], digest: bytes, until_s: float = math.inf) -> Principal:
        """Whom ``found`` is about; ValueError when it does not say who, or something that is no text or number.

        Args:
            found: The JSON object.
            digest: Of the token: what ``auth.key`` tells requests apart by.
            until_s: When the token ends.
        """
        subject = self._text(found, self._subject)
        if self._subject is not None and not subject:
            raise ValueError(f"there is no {self._subject}")
        identity = Identity(
            subject,
            self._text(found, self._tenant) or subject,
            self._text(found, self._tier),
            self._number(found),
            digest,
        )
        fields, characters = [], 0
        for name, path in self._headers:
            text = field_text(_at(found, path))
            if text is not None:
                characters += len(text)
            fields.append((name, text))
        if characters > FIELDS_MAX:
            raise ValueError(f"its fields have more than {FIELDS_MAX} characters")
        return Principal(identity, tuple(fields), until_s)

    def _text(self, found: Mapping[str, Any], path: str | None) -> str:
        value = None if path is None else _at(found, path)
        if value is None:
            return ""
        if type(value) is str and value.isascii():
            return value  # most are
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"{path} is neither text nor an integer")  # noqa: TRY004 - it is about what a token says
        text = str(value)
        text.encode()  # a lone surrogate is in no text, and UnicodeEncodeError is a ValueError
        return text

    def _number(self, found: Mapping[str, Any]) -> int:
        value = None if self._priority is None else _at(found, self._priority)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{self._priority} is no integer")  # noqa: TRY004 - as above
        return max(-PRIORITY_MAX, min(PRIORITY_MAX, value))


def field_text(value: Any) -> str | None:
    """A JSON value as that of a header field; None: it is null, and there is no field.

    Text is sent as it is, with "%", what is not printable ASCII, and spaces at its ends percent-encoded as UTF-8: who
    decodes always gets what stood in the object, and two values never look alike. Elements of a list are joined by
    commas (those in them are encoded as well); objects, and lists that have any, are sent as JSON in ASCII.
    """
    if value is None:
        return None
    if type(value) is str:
        return _scalar(value, _PLAIN)  # most are
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(one, list | dict) for one in value):
        return ",".join(_scalar(one, _OF_LIST) for one in value)
    if isinstance(value, list | dict):
        return quote(msgspec.json.encode(value), safe=_PLAIN)
    return _scalar(value, _PLAIN)


def _scalar(value: Any, safe: str) -> str:
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if value.isascii() and value.isprintable() and value.strip(" ") == value and "%" not in value and "," not in value:
        return value  # most are
    text = quote(value, safe=safe, errors="strict")
    if text[:1] == " " or text[-1:] == " ":
        inner = text.strip(" ")
        before = len(text) - len(text.lstrip(" "))
        text = "%20" * before + inner + "%20" * (len(text) - len(inner) - before)
    return text


def _at(found: Mapping[str, Any], path: str) -> Any:
    value: Any = found.get(path)
    if value is not None or path in found:
        return value
    value = found
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value
