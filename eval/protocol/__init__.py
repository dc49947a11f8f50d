"""VBench's rules: prompts, dimensions, names of files, clips. Runs nothing.

Imports `eval.errors`.
"""
