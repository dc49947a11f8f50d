"""The statistics behind a score: segments, slopes, bootstrap, significance tests, correlations.

Everything here is a pure function of numbers; it needs no video and no torch, and imports no other
room.
"""
