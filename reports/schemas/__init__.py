"""Models of the records that other commands write: their fields, types and versions.

Imports no other room of reports.
"""
