"""Results of jobs as typed records: what tables and figures read, and nothing else.

Imports `reports.run` and the rooms it stands on.
"""
