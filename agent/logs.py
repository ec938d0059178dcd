"""Structured logs: one line per event with its code and subject, for people or for machines."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def configure_logs(form: str, level: str, stream: TextIO | None = None) -> None:
    """Send every log line to the stream (stderr) as console text or JSON."""
    target = stream or sys.stderr
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    # libraries log through the standard module: only what an operator must see
    logging.basicConfig(
        stream=target, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s"
    )
    for library in ("apscheduler", "asyncua", "pymodbus", "uvicorn"):
        logging.getLogger(library).setLevel(logging.ERROR)
