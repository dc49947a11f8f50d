"""Error of a single video; wrong use is hiar's `UsageError`."""


class VideoFailedError(Exception):
    """One video could not be made, but others may be; the message is one line."""
