"""The `drift` command, a file for each sub-command. No other room and no package imports it."""
