"""A resumable run over folders of videos: plan, worker processes, measuring, results.

Import `score_folder` from `score_folder`. Imports every room but `drift.cli`.
"""
