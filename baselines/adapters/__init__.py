"""Three ways to run a model: hiar's own engine, a diffusers pipeline, a program of its own.

Import `open_adapter` from `factory`. Imports `baselines.spec` and the registry.
"""
