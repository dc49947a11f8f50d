"""Errors that are neither our bug nor a broken video; `exit_code` is what a command returns."""


class UsageError(ValueError):
    """Wrong use; the message is one line that names the value, the rule and the remedy."""

    exit_code = 2


class StorageError(RuntimeError):
    """The disk of the run folder is full; what was written is whole and will be used again."""

    exit_code = 2


class WorkerError(RuntimeError):
    """A worker process died, for instance from lack of memory or in a decoder."""

    exit_code = 1
