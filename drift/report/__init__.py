"""`report.html`: one page with charts and thumbnails, without a network.

Imports `drift.record`; knows nothing of `drift.compare`.
"""
