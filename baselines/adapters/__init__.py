"""The three ways to run a model: hiar's own engine, a diffusers pipeline, an external program.

Import `open_adapter` from `factory`. Imports `baselines.spec` and the registry.
"""
