"""`report.html`: one page with charts and thumbnails that loads nothing from elsewhere.

Imports `drift.record` and the rooms below it; never imports `drift.compare`.
"""
