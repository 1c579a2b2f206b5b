"""The log of ``serve``: one JSON object per line on standard output, for our records and for those of libraries."""

import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

OWN_LOGGER = "classifier"
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class EventFormatter(logging.Formatter):
    """Writes a record as ``{"time": ..., "level": ..., "event": ..., <its extra fields>}``.

    The message of our own loggers is the event's name. A library's record is the event "log", with the fields
    ``logger`` and ``message``. A traceback is the field ``exception``. Extra fields never replace the time, the level
    or the event.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record: ASCII only, so that neither a message nor the locale can break its encoding."""
        line: dict[str, object] = {"time": _time(record.created), "level": record.levelname.lower(), **_event(record)}
        extra = (name for name in vars(record) if name not in _STANDARD and name not in line)
        line |= {name: _plain(getattr(record, name)) for name in extra}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line)


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
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return str(value)
