"""The `hiar-vbench` command: one file for each of its commands. Nobody imports it."""
