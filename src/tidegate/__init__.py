"""Tidegate: an API gateway and push gateway with a compiled data plane.

What people who write filters import: ``Filter`` with ``option`` and ``required``, and the views ``Request``,
``ResponseHead``, ``Headers`` and ``Response``. They are loaded at first use: supervisor and command line need none.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.config.options import option, required
    from tidegate.exchange.filter import Filter
    from tidegate.exchange.views import Headers, Request, Response, ResponseHead

__version__ = "0.1.0.dev0"

__all__ = ["Filter", "Headers", "Request", "Response", "ResponseHead", "option", "required"]

_HOMES = {
    "option": "tidegate.config.options",
    "required": "tidegate.config.options",
    "Filter": "tidegate.exchange.filter",
    "Headers": "tidegate.exchange.views",
    "Request": "tidegate.exchange.views",
    "Response": "tidegate.exchange.views",
    "ResponseHead": "tidegate.exchange.views",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
