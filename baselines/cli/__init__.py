"""The `hiar-baselines` command: one file for each of its commands. No other package imports it."""
