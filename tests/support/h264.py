"""The toolkit's settings for H.264, for tests of drift too: that package may not import hiar."""

from hiar.codecs.video import DETERMINISTIC

__all__ = ["DETERMINISTIC"]
