"""The paper as data: its numbers, its claims, and the spec of what is run for each table.

Imports no other room of reports.
"""
