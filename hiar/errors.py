"""The one error class that a command line turns into a single line and exit code 2."""


class UsageError(ValueError):
    """A mistake of the caller: the message names the value, the rule and the remedy."""
