"""What a run's folder holds, typed: the record of a video, the tables, the summary.

Imports `drift.score`.
"""
