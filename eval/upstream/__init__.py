"""VBench itself, unmodified, in an environment of its own: made, fed, run, checked.

Imports `eval.protocol` and `eval.scores`.
"""
