"""One file for each model, which holds its ``SPEC``; those distilled have their own room."""
