"""The log of ``serve``: one JSON object per line on standard output, for our records and for those of libraries."""

import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gunicorn import glogging
from pythonjsonlogger.json import JsonFormatter

OWN_LOGGER = "classifier"


class EventFormatter(JsonFormatter):
    """Writes a record as ``{"time": ..., "level": ..., "event": ..., <its extra fields>}``.

    The message of our own loggers is the event's name. A library's record is the event "log", with the fields
    ``logger`` and ``message``. A traceback is the field ``exception``. Extra fields never replace the time, the level
    or the event.
    """

    def __init__(self) -> None:
        # ASCII only, so that neither a message nor the locale can break the output's encoding.
        super().__init__([], json_ensure_ascii=True, rename_fields={"exc_info": "exception", "stack_info": "stack"})

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill in the fields of the line, in the order in which they are written."""
        fields: dict[str, Any] = {}
        super().add_fields(fields, record, message_dict)
        log_data["time"] = _time(record.created)
        log_data["level"] = record.levelname.lower()
        log_data.update(_event(record))
        log_data.update({name: _plain(value) for name, value in fields.items() if name not in log_data})


class GunicornLogger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's log, written by our handler; the value of its option ``logger-class``."""

    def setup(self, cfg: Any) -> None:
        """Use gunicorn's level, and pass its records on to the root logger."""
        super().setup(cfg)
        configure(self.loglevel)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


def configure(level: int = logging.INFO) -> None:
    """Send every log record and warning to standard output, one JSON object per line, flushed.

    Args:
        level: The least severe level that is written.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(EventFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> dict[str, str]:
    if record.name.split(".", 1)[0] == OWN_LOGGER:
        return {"event": record.getMessage()}
    return {"event": "log", "logger": record.name, "message": record.getMessage()}


def _plain(value: object) -> object:
    """Return a value as JSON can represent it: NaN and infinity as strings, keys as strings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, str | int) else str(value)
