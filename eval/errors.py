"""What ends a command with one line and no traceback."""


class UsageError(ValueError):
    """Wrong use or unusable input; the message names the value, the rule and the remedy."""


class IsolatedError(RuntimeError):
    """The isolated environment cannot be made or does not answer; the message is one line."""
