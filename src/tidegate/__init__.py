"""Tidegate: an API gateway and push gateway with a compiled data plane.

What people who write filters import: ``Filter`` with ``option`` and ``required``; the views ``Request``,
``ResponseHead`` and ``Headers``; ``Response``; ``Identity``, whom a request is from; ``Loaded``, what a cache is given
with its time, and ``NotTold``, what it raises when Redis missed an invalidation; ``Later``, a wait without a task; the
kinds of values an option may hold beside plain types (``Duration``, ``Size`` …), ``Section`` for options that are
tables of their own, and ``reveal`` for secrets. They are loaded at first use: supervisor and command line need none.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.cache.loaded import Loaded
    from tidegate.cache.untold import NotTold
    from tidegate.config.kinds import Duration, FieldName, FieldValue, File, Kind, Ref, Regex, Secret, Size
    from tidegate.config.options import option, required
    from tidegate.config.secrets import reveal
    from tidegate.config.section import Section
    from tidegate.exchange.filter import Filter
    from tidegate.exchange.views import Headers, Request, Response, ResponseHead
    from tidegate.filters.key_auth import Identity
    from tidegate.net.later import Later

__version__ = "0.1.0.dev0"

__all__ = [
    "Duration",
    "FieldName",
    "FieldValue",
    "File",
    "Filter",
    "Headers",
    "Identity",
    "Kind",
    "Later",
    "Loaded",
    "NotTold",
    "Ref",
    "Regex",
    "Request",
    "Response",
    "ResponseHead",
    "Secret",
    "Section",
    "Size",
    "option",
    "required",
    "reveal",
]

_HOMES = {
    "Duration": "tidegate.config.kinds",
    "FieldName": "tidegate.config.kinds",
    "FieldValue": "tidegate.config.kinds",
    "File": "tidegate.config.kinds",
    "Filter": "tidegate.exchange.filter",
    "Headers": "tidegate.exchange.views",
    "Identity": "tidegate.filters.key_auth",
    "Kind": "tidegate.config.kinds",
    "Later": "tidegate.net.later",
    "Loaded": "tidegate.cache.loaded",
    "NotTold": "tidegate.cache.untold",
    "Ref": "tidegate.config.kinds",
    "Regex": "tidegate.config.kinds",
    "Request": "tidegate.exchange.views",
    "Response": "tidegate.exchange.views",
    "ResponseHead": "tidegate.exchange.views",
    "Secret": "tidegate.config.kinds",
    "Section": "tidegate.config.section",
    "Size": "tidegate.config.kinds",
    "option": "tidegate.config.options",
    "required": "tidegate.config.options",
    "reveal": "tidegate.config.secrets",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
