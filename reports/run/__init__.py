"""Runs the jobs that are missing, here or on a Ray cluster, and records how each ended.

Imports `reports.plan`.
"""
