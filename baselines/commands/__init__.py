"""One file a command of `hiar-baselines`."""
