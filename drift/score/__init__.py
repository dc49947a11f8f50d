"""From per-frame values to a drift score: cuts, segments, slopes, scales, means over videos.

Pure functions without files and without torch. Imports the list of metrics from `drift.metrics`,
and `drift.stats`.
"""
