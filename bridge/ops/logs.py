"""Structured logs on standard error: one event a line, JSON or for people, without customers' words or secrets.

An exception is logged as its class and the places it went through: its text may quote a mail.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import PurePath
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor


def _places(_logger: Any, _method: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = type(error).__name__
        event["places"] = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-8:]]
    return event


class _Quiet(logging.Handler):
    """Sends what libraries log through the same door, without its arguments: they may be a customer's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep logger, level and error class; drop the text, which is not ours to vouch for."""
        log = structlog.get_logger()
        error = record.exc_info[1] if record.exc_info else None
        where = f"{record.module}:{record.lineno}"
        log.log(record.levelno, "library", logger=record.name, line=where, **({"exc_info": error} if error else {}))


def configure(form: str, count: Processor | None = None) -> FilteringBoundLogger:
    """Set the process's logging up; ``form`` is ``json`` or ``console``, ``count`` sees every event."""
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _places,
            *([count] if count else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Quiet(logging.WARNING)]
    root.setLevel(logging.WARNING)
    log: FilteringBoundLogger = structlog.get_logger()
    return log
