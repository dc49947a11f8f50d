"""VBench's rules as data and checks: prompts, dimensions, file names, clips, ways of running.

Imports `eval.errors`.
"""
