"""The distilled causal Wan family: one file for each release that the engine of `hiar` runs."""
