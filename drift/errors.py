"""What can go wrong that is neither our bug nor a broken video."""


class UsageError(ValueError):
    """Wrong use: one line that names the value, the rule and the remedy. Exit code 2."""


class WorkerError(RuntimeError):
    """A worker process died, for instance for memory or in a decoder. Exit code 1."""
