"""Everything around VBench's own, unmodified code: its environment, its weights, its runs.

Imports `eval.protocol` and `eval.scores`.
"""
