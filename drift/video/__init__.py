"""Videos as frames: find files, decode them, sample frames by time, make thumbnails.

Frames are uint8 RGB (height, width, 3). Imports `drift.files` and `drift.errors`.
"""
