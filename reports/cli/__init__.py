"""The `reproduce-paper` command, and the small programs that jobs run. Nobody imports it."""
