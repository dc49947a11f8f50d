"""From folders to frames: find videos, decode them, sample frames by time, make thumbnails.

A frame is uint8 RGB (height, width, 3). Imports no other room.
"""
