"""The `hiar` command: one file for each of its commands.

Nobody imports it. Nothing heavy is imported before a command runs.
"""
