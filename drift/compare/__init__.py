"""Compares runs: which may be compared, how videos are paired, differences with intervals.

Imports `drift.record` and the rooms below it; never imports `drift.report`.
"""
