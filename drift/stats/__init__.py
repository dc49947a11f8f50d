"""The statistics of a score, on numbers alone: segments, slopes, bootstrap, tests, correlations.

Imports `drift.errors` only; needs no torch and no video.
"""
