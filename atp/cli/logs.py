"""Logs on stderr: JSON for machines, colours on a terminal; the libraries' own lines in the same form.

Passwords and keys never reach a log: every text passes ``_hide``, whoever wrote the line.
"""

import logging
import re
import sys

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from atp.config import Config, mask

_URL = re.compile(r"[a-z+]+://[^\s'\"]+@[^\s'\"]+")
_KEY = re.compile(r"\b(atp_[a-z0-9]{12})_[A-Za-z0-9_-]{43}")

#: Libraries that write every request or frame at their lower levels.
_CHATTY = ("nats", "asyncio", "_granian", "granian.access")


def configure(config: Config) -> None:
    """Set up structlog and the standard library's logging."""
    as_json = config.log_format == "json" or (config.log_format == "auto" and not sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[config.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shown: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        shown += [structlog.processors.format_exc_info, conceal, _render_json]
    else:
        plain = structlog.dev.plain_traceback  # the other one prints local variables
        shown += [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain), _conceal_text]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=shown))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def conceal(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hide passwords in URLs and the secret part of API keys."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _hide(value)
    return event


def _conceal_text(_: WrappedLogger, __: str, text: str) -> str:
    """``conceal`` for a line that is rendered already, traceback and all."""
    return _hide(text)


def _hide(text: str) -> str:
    return _KEY.sub(r"\1_***", _URL.sub(lambda found: mask(found[0]), text))


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
