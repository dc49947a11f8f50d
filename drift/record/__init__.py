"""The files of a run's folder as types: records of videos, tables, the summary.

Imports `drift.score` and the rooms below it.
"""
