"""Measures videos: decoding, segments, metrics, slopes and the drift score."""
