"""Errors that the user can correct; any other error is a bug and keeps its traceback."""

from collections.abc import Sequence


class UserError(Exception):
    """An error in the user's settings, data or model files.

    Args:
        problems: Every problem found, one sentence or line each, saying what is wrong, where, and what to do.
        heading: A line put before the problems, when there is more to say than each of them does.
    """

    def __init__(self, problems: str | Sequence[str], heading: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join([heading, *self.problems] if heading else self.problems))


class RecordError(Exception):
    """A record that can't be read; the message says what is wrong with it and what to do, and holds nothing of it."""


class RequestError(Exception):
    """A request that can't be answered, and the HTTP answer it gets instead.

    Args:
        status: The HTTP status, 4xx when the client can put it right, 5xx when it cannot.
        code: A short name that programs can compare, as ``unsupported_media_type``.
        message: What is wrong and what to send instead; never any of the request's own text.
        retry_after_seconds: When to try again, for refusals that pass.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_seconds: int | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


def at_most(lines: Sequence[str], limit: int = 20) -> list[str]:
    """Return the first ``limit`` lines, and one more that says how many were left out."""
    shown = list(lines[:limit])
    if len(lines) > limit:
        shown.append(f"... and {len(lines) - limit} more")
    return shown
