"""One file a metric, and the registry that lists them; `networks` has the learned ones' networks.

Import `METRICS` and `resolve_metrics` from `registry`. Listing metrics imports no torch.
Imports `drift.video` and `drift.stats`.
"""
