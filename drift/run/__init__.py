"""A resumable run over a folder: what is left to do, processes that measure, records.

Import `score_folder` from `score_folder`. Imports every room but `drift.cli`.
"""
