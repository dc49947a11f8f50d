"""Errors that end a command with one line and no traceback; wrong use is drift's `UsageError`."""


class IsolatedError(RuntimeError):
    """The isolated environment cannot be made or does not answer; the message is one line."""

    exit_code = 1
