"""The metrics, one file each, and the registry that lists them without importing torch.

Import `METRICS` and `resolve_metrics` from `registry`. `networks` holds the networks of the learned
metrics and `weights` finds their files. Imports `drift.video` and `drift.stats`.
"""
