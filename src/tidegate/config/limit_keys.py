"""What a limit tells requests apart by, as the file spells it."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from tidegate.config.kinds import Kind, describe

__all__ = ["KeyPart", "LimitKey", "parse_key_part"]

IPV6_PREFIX = 64
"""Bits of an IPv6 address that stand for one client, unless said: whoever has one address has all of its /64."""

_PLAIN = ("auth.subject", "auth.tenant", "auth.key", "path", "method", "route", "upstream", "endpoint", "host")
_NAMED = ("header", "cookie", "query")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")


class KeyPart(NamedTuple):
    """Where a part of a key comes from; ``name`` of the field, cookie or parameter, or the constant itself."""

    source: str
    name: str = ""
    ipv6_prefix: int = IPV6_PREFIX

    @property
    def needs_auth(self) -> bool:
        """Whether only a route with ``auth`` has it."""
        return self.source.startswith("auth.")


def parse_key_part(text: str) -> KeyPart:
    """The part that ``text`` spells; ValueError when it is none."""
    if text == "client.ip":
        return KeyPart("client.ip")
    if (address := re.fullmatch(r"client\.ip/([0-9]{1,3})", text)) is not None:
        bits = int(address[1])
        if not 16 <= bits <= 128:
            raise ValueError(f"an IPv6 client is told by 16 to 128 bits of its address, not by {bits}")
        return KeyPart("client.ip", "", bits)
    if text in _PLAIN:
        return KeyPart(text)
    source, colon, name = text.partition(":")
    if colon and source == "constant" and 0 < len(name) <= 200:
        return KeyPart(source, name)
    if colon and source in _NAMED and _TOKEN.fullmatch(name) is not None:
        return KeyPart(source, name)
    raise ValueError(f"expected {LimitKey.expects}, got {describe(text)}")


@dataclass(frozen=True, slots=True)
class LimitKey(Kind):
    """What a limit tells requests apart by: one part, or a list of them."""

    expects: ClassVar[str] = (
        '"client.ip", "client.ip/BITS", "auth.subject", "auth.tenant", "auth.key", "header:NAME", "cookie:NAME", '
        '"query:NAME", "path", "method", "route", "upstream", "endpoint", "host", "constant:TEXT", or a list of these'
    )
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
    }

    def read(self, value: Any) -> tuple[str, ...]:
        parts = [value] if isinstance(value, str) else value
        if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        for part in parts:
            parse_key_part(part)
        return tuple(parts)

    def show(self, value: tuple[str, ...]) -> str:
        return str(list(value)).replace("'", '"')
