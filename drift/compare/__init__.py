"""Runs against runs: which may be compared, how videos are paired, differences with intervals.

Imports `drift.record`; knows nothing of `drift.report`.
"""
