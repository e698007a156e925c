"""The error log of a process of the gateway, as the configuration wants it and bounded together with all others."""

import logging
from typing import Any

from tidegate.config.logs import ErrorLog as ErrorLogSettings
from tidegate.memory.region import Region
from tidegate.memory.turns import Turns
from tidegate.observe.bounded_log import BoundedLog
from tidegate.observe.error_log import ErrorLog, ErrorLogHandler
from tidegate.observe.line_sink import LineSink
from tidegate.process.failure import StartError

__all__ = ["open_error_log", "take_logging"]


def open_error_log(settings: ErrorLogSettings, region: Region, **who: Any) -> ErrorLog:
    """Opens it; ``who`` names the process in each line. StartError when the file cannot be written."""
    try:
        sink = LineSink(settings.path)
    except OSError as error:
        raise StartError(f"the error log {settings.path} cannot be opened: {error.strerror or error}") from error
    bounded = BoundedLog(take_turn=Turns(region.mapping).take)
    return ErrorLog(sink, who=who, level=settings.level, bounded=bounded, journal=region.journal("events"))


def take_logging(log: ErrorLog) -> None:
    """Lets what is said through ``logging`` come out in the error log: warnings of libraries, and from us infos too."""
    root = logging.getLogger()
    root.addHandler(ErrorLogHandler(log))
    root.setLevel(logging.WARNING)
    logging.getLogger("tidegate").setLevel(logging.INFO)
