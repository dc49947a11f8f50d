"""A training run: settings from TOML, networks, sharding, the loop, checkpoints, the log.

Only `hiar.cli` and the scripts import it. Imports `hiar.training.stages`.
"""
