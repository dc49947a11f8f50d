"""The `drift` command: one file for each of its commands. Nobody imports it."""
