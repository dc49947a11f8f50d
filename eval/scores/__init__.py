"""Reads VBench's own result files and computes Quality, Semantic and Total.

Only `results` reads and writes files. Imports `eval.protocol`.
"""
