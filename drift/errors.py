"""What can go wrong that is neither our bug nor a broken video; `exit_code` ends a command so."""


class UsageError(ValueError):
    """Wrong use: one line that names the value, the rule and the remedy."""

    exit_code = 2


class StorageError(RuntimeError):
    """The run folder cannot take more: what is there is whole and is used again."""

    exit_code = 2


class WorkerError(RuntimeError):
    """A worker process died, for instance for memory or in a decoder."""

    exit_code = 1
