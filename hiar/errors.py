"""Errors that a command line turns into a single line; `exit_code` says so to any of them."""


class UsageError(ValueError):
    """A mistake of the caller: the message names value, rule and remedy."""

    exit_code = 2


class RankLostError(RuntimeError):
    """Another process of a pipeline is gone or silent; the message says which."""

    exit_code = 1
