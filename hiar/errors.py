"""Errors that a command line turns into a single line."""


class UsageError(ValueError):
    """A mistake of the caller: the message names value, rule and remedy. Exit code 2."""


class RankLostError(RuntimeError):
    """Another process of a pipeline is gone or silent; the message says which. Exit code 1."""
