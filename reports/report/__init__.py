"""The page: the paper's claims judged, findings, tables, films, and the manifest of every file.

Imports every room but `reports.cli`.
"""
