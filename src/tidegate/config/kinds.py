"""What an option may hold: small markers beside a type, from which checks, JSON Schema and manual are derived.

    timeout: Annotated[float, Duration(), Doc("whole exchange")] = 60.0

The model holds the plain value (seconds, bytes, text), the file its spelling (``"60s"``). Workers import this module
with the schema, so it imports pydantic only inside the methods that pydantic itself calls.
"""

from __future__ import annotations

import ipaddress
import pathlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tidegate.config import patterns, values

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Doc:
    """What the option is for, in a sentence of the manual."""

    text: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "description": self.text}


@dataclass(frozen=True, slots=True)
class Kind:
    """A spelling in the file and the plain value it stands for."""

    expects: ClassVar[str] = "text"
    schema: ClassVar[dict[str, Any]] = {"type": "string"}
    is_secret: ClassVar[bool] = False  # whether a value that is no reference is shown as a digest only

    def read(self, value: Any) -> Any:
        """The plain value of what the file says; ValueError says what was expected."""
        raise NotImplementedError

    def place(self, value: Any, directory: pathlib.Path) -> Any:
        """A plain value as it is meant in a file of ``directory``: where a relative path leads."""
        del directory
        return value

    def show(self, value: Any) -> str:
        """The spelling of a plain value, as the manual prints a default."""
        return str(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import PydanticCustomError, core_schema

        def read(value: Any, info: core_schema.ValidationInfo) -> Any:
            try:
                plain = self.read(value)
            except ValueError as error:
                raise PydanticCustomError("tidegate", "{reason}", {"reason": str(error)}) from None
            return self.place(plain, info.context["directory"]) if info.context else plain

        return core_schema.with_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.schema)


def _text(value: Any, expects: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected {expects}, got {describe(value)}")  # noqa: TRY004 - pydantic collects it
    return value


def describe(value: Any) -> str:
    """What a value of the file is, in words for a message."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}…"'
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case None:
            return "nothing"
    return type(value).__name__


@dataclass(frozen=True, slots=True)
class Duration(Kind):
    """Seconds, written with a unit."""

    expects: ClassVar[str] = 'a duration such as "250ms"'
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$",
        "examples": ["250ms", "5s", "1h30m"],
    }

    shortest: float = 0.001
    longest: float = 365 * 86400.0

    def read(self, value: Any) -> float:
        seconds = values.parse_duration(_text(value, self.expects))
        if not self.shortest <= seconds <= self.longest:
            shortest, longest = values.format_duration(self.shortest), values.format_duration(self.longest)
            raise ValueError(f"expected a duration from {shortest} to {longest}, got {describe(value)}")
        return seconds

    def show(self, value: float) -> str:
        return f'"{values.format_duration(value)}"'


@dataclass(frozen=True, slots=True)
class Rate(Kind):
    """Requests in a period, kept as they are written: "60/min" and "1/s" are told to clients differently."""

    expects: ClassVar[str] = 'a rate such as "200/s" or "5/min"'
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^[0-9]+/(s|min|h|d)$",
        "examples": ["200/s", "5/min", "1000/d"],
    }

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        count, period_s = values.parse_rate(text)
        if count > 100_000_000 * period_s:
            raise ValueError(f'expected a rate of at most 100000000 a second, got "{text}"')
        return text

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Size(Kind):
    """Bytes, written with a unit."""

    expects: ClassVar[str] = 'a size such as "64KiB"'
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^[0-9]+(\.[0-9]+)? ?(B|KiB|MiB|GiB|TiB|KB|MB|GB)$",
        "examples": ["64KiB", "1GiB"],
    }

    smallest: int = 0
    largest: int = 1 << 50

    def read(self, value: Any) -> int:
        size = values.parse_size(_text(value, self.expects))
        if not self.smallest <= size <= self.largest:
            smallest, largest = values.format_size(self.smallest), values.format_size(self.largest)
            raise ValueError(f"expected a size from {smallest} to {largest}, got {describe(value)}")
        return size

    def show(self, value: int) -> str:
        return f'"{values.format_size(value)}"'


@dataclass(frozen=True, slots=True)
class Off:
    """The option may be switched off by ``"off"``; the model then holds None."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def read(value: Any, inner: Callable[[Any], Any]) -> Any:
            return None if value == "off" and isinstance(value, str) else inner(value)

        return core_schema.no_info_wrap_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        inner = handler(schema)
        choices = [s for s in inner.get("anyOf", [inner]) if s.get("type") != "null"]
        return {"anyOf": [*choices, {"const": "off"}]}


@dataclass(frozen=True, slots=True)
class Address(Kind):
    """``host:port``, ``[v6]:port`` or ``unix:/path``; the model holds the canonical spelling."""

    expects: ClassVar[str] = 'an address such as "127.0.0.1:8080" or "unix:/run/app.sock"'

    def read(self, value: Any) -> str:
        return str(values.parse_address(_text(value, self.expects)))

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class IP(Kind):
    """An IPv4 or IPv6 address without a port."""

    expects: ClassVar[str] = "an IP address"

    def read(self, value: Any) -> str:
        try:
            return str(ipaddress.ip_address(_text(value, self.expects)))
        except ValueError:
            raise ValueError(f"expected {self.expects}, got {describe(value)}") from None


@dataclass(frozen=True, slots=True)
class Network(Kind):
    """A range of addresses in CIDR notation."""

    expects: ClassVar[str] = 'a range such as "10.0.0.0/8"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        try:
            return str(ipaddress.ip_network(text))
        except ValueError:
            pass
        try:
            wider = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"expected {self.expects}, got {describe(value)}") from None
        raise ValueError(f'{text} has bits set below its prefix; did you mean "{wider}"?')


@dataclass(frozen=True, slots=True)
class Ref(Kind):
    """A name that another table declares, such as ``Ref("upstreams")``."""

    table: str
    expects: ClassVar[str] = "a name"

    def read(self, value: Any) -> str:
        return _text(value, f"a name of [{self.table}]")


@dataclass(frozen=True, slots=True)
class Place(Kind):
    """A path; a relative one begins at the directory of the configuration file."""

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        if not text or "\0" in text:
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return text

    def place(self, value: str, directory: pathlib.Path) -> str:
        return str(directory / value)


@dataclass(frozen=True, slots=True)
class File(Place):
    """The path of a file."""

    expects: ClassVar[str] = "the path of a file"

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Directory(Place):
    """The path of a directory that is made when it is not there."""

    expects: ClassVar[str] = "the path of a directory"


@dataclass(frozen=True, slots=True)
class WrittenFile(File):
    """A file that the gateway writes, or one of ``words``."""

    words: tuple[str, ...] = ()

    def place(self, value: str, directory: pathlib.Path) -> str:
        return value if value in self.words else str(directory / value)


@dataclass(frozen=True, slots=True)
class LogFile(WrittenFile):
    """Where lines go: a file, or a word such as ``-``."""

    words: tuple[str, ...] = ("-",)
    expects: ClassVar[str] = 'the path of a file, or "-"'


@dataclass(frozen=True, slots=True)
class Cores(Kind):
    """Processor cores for each worker, by their numbers; or "auto"."""

    expects: ClassVar[str] = '"auto" or cores for each worker, such as [[0], [1, 2]]'
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"const": "auto"},
            {"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}},
        ]
    }

    def read(self, value: Any) -> str | tuple[tuple[int, ...], ...]:
        if value == "auto":
            return "auto"
        if not isinstance(value, list) or not value or not all(map(_are_cores, value)):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return tuple(tuple(cores) for cores in value)


def _are_cores(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(core) is int and core >= 0 for core in value)


@dataclass(frozen=True, slots=True)
class Account(Kind):
    """A user or a group of this machine, by name or number; the plain value is text either way."""

    expects: ClassVar[str] = "a name or a number"
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0, "maximum": 2**32 - 2}]
    }

    def read(self, value: Any) -> str:
        is_number = type(value) is int or (isinstance(value, str) and value.isascii() and value.isdigit())
        fits = 0 <= int(value) < 2**32 - 1 if is_number else isinstance(value, str) and value and "\0" not in value
        if not fits:
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return str(value)

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Mode(Kind):
    """Permission bits, written as octal digits in quotes."""

    expects: ClassVar[str] = 'permission bits as text, such as "0660"'
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": "^0?[0-7]{3}$"}

    def read(self, value: Any) -> int:
        if not isinstance(value, str) or re.fullmatch(r"0?[0-7]{3}", value) is None:
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return int(value, 8)

    def show(self, value: int) -> str:
        return f'"{value:04o}"'


@dataclass(frozen=True, slots=True)
class FieldName(Kind):
    """The name of a header field."""

    expects: ClassVar[str] = "the name of a header field"

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        if _TOKEN.fullmatch(text) is None:
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return text

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class CookieName(FieldName):
    """The name of a cookie: a token as well (RFC 6265, 4.1.1)."""

    expects: ClassVar[str] = "the name of a cookie"


@dataclass(frozen=True, slots=True)
class FieldValue(Kind):
    """The value of a header field: no control bytes, no space at either end."""

    expects: ClassVar[str] = "the value of a header field"

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        if text != text.strip() or any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in text):
            raise ValueError(
                f"expected {self.expects} without control characters or outer spaces, got {describe(value)}"
            )
        return text


@dataclass(frozen=True, slots=True)
class Method(Kind):
    """A request method; methods are case-sensitive and the known ones are in capitals."""

    expects: ClassVar[str] = 'a method such as "GET"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        if _TOKEN.fullmatch(text) is None or text == "CONNECT":
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        if text != text.upper():
            raise ValueError(f'methods are written in capitals; did you mean "{text.upper()}"?')
        return text


@dataclass(frozen=True, slots=True)
class Host(Kind):
    """A host name, or ``*.`` and a host name for every name below it."""

    expects: ClassVar[str] = 'a host such as "api.example.com" or "*.example.com"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        return patterns.parse_host(text)


@dataclass(frozen=True, slots=True)
class Path(Kind):
    """A path pattern: exact, prefix, template or regex (:mod:`tidegate.config.patterns`)."""

    expects: ClassVar[str] = 'a path such as "/a", "/a/*", "/users/{id}" or "~^/x/[0-9]+$"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        patterns.parse_path(text)
        return text

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Prefix(Kind):
    """The beginning of a path, in whole segments."""

    expects: ClassVar[str] = 'the beginning of a path, such as "/api/v1"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        if text == "/" or text.endswith("/") or patterns.parse_path(text).kind != "exact":
            raise ValueError(f"expected {self.expects}, without a slash at its end, got {describe(value)}")
        return text


@dataclass(frozen=True, slots=True)
class Template(Kind):
    """A path with ``{name}`` for what is filled in, ``{*}`` for the rest."""

    expects: ClassVar[str] = 'a path such as "/v2/{id}/{*}"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        if not text.startswith("/") or not text.isascii() or not text.isprintable() or any(c in text for c in " ?#"):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return text


@dataclass(frozen=True, slots=True)
class Regex(Kind):
    """A regular expression of RE2."""

    expects: ClassVar[str] = "a regular expression (RE2)"

    def read(self, value: Any) -> str:
        return _text(value, self.expects)


@dataclass(frozen=True, slots=True)
class Match(Kind):
    """What a header field or query parameter has to be (:mod:`tidegate.config.patterns`)."""

    expects: ClassVar[str] = 'text to be equal to, "~regex", true (present) or false (absent)'
    schema: ClassVar[dict[str, Any]] = {"type": ["string", "boolean"]}

    def read(self, value: Any) -> str | bool:
        if not isinstance(value, str | bool):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")  # noqa: TRY004 - pydantic collects it
        patterns.parse_value(value)
        return value


@dataclass(frozen=True, slots=True)
class Key(Kind):
    """What a request is told apart by: ``client.ip``, ``path``, ``header:NAME``, ``cookie:NAME`` or ``query:NAME``."""

    expects: ClassVar[str] = '"client.ip", "path", "header:NAME", "cookie:NAME" or "query:NAME"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        kind, colon, name = text.partition(":")
        known = kind in ("header", "cookie", "query") if colon else text in ("client.ip", "path")
        if not known or (colon and _TOKEN.fullmatch(name) is None):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return text

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class KeyDigest(Kind):
    """The digest of a key that clients present; the key itself stands nowhere."""

    expects: ClassVar[str] = "`sha256:` and 64 hexadecimal digits"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": "^sha256:[0-9a-fA-F]{64}$"}

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(r"sha256:[0-9a-fA-F]{64}", value) is None:
            # and never show what came: it may be the key
            raise ValueError(f"expected {self.expects}: the SHA-256 of the key, not the key")
        return value.lower()


@dataclass(frozen=True, slots=True)
class Scheme(Kind):
    """What stands before a credential in a field (RFC 9110, 11.1)."""

    expects: ClassVar[str] = 'the name of a scheme, such as "Bearer"'

    def read(self, value: Any) -> str:
        text = _text(value, self.expects)
        if _TOKEN.fullmatch(text) is None:
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return text


@dataclass(frozen=True, slots=True)
class Shorthand:
    """A table that may be written as the value of one of its fields: ``"a:1"`` for ``{ address = "a:1" }``."""

    field: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def read(value: Any) -> Any:
            if isinstance(value, str):
                return {self.field: value}
            if isinstance(value, dict):
                # Behind a validator in Python a list is no longer JSON's, and so no tuple to a strict schema.
                return {name: tuple(one) if isinstance(one, list) else one for name, one in value.items()}
            return value

        return core_schema.no_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


@dataclass(frozen=True, slots=True)
class Secret(Kind):
    """A secret: a reference ``env:NAME`` or ``file:PATH``. The model holds the reference, never what it refers to."""

    expects: ClassVar[str] = 'a reference to a secret: "env:NAME" or "file:PATH"'
    is_secret: ClassVar[bool] = True

    def read(self, value: Any) -> str:
        return _text(value, self.expects)

    def place(self, value: str, directory: pathlib.Path) -> str:
        return f"file:{directory / value[5:]}" if value.startswith("file:") else value


@dataclass(frozen=True, slots=True)
class Reference(Secret):
    """A secret that may not stand in the file at all."""

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not value.startswith(("env:", "file:")):
            raise ValueError(f"expected {self.expects}")  # and never show what came: it may be the secret
        return value
