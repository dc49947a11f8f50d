"""One file for each model, which holds its ``SPEC``."""
