"""From values of frames to a drift score: cuts, segments, slopes, means over videos, scales.

Pure: no files, no torch. Imports `drift.metrics` for the list of metrics, and `drift.stats`.
"""
