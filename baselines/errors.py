"""The error of a single video; wrong use is hiar's `UsageError`."""


class VideoFailedError(Exception):
    """One video that could not be made; the message is one line, the others may go on."""
