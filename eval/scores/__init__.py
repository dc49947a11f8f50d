"""VBench's own result files read, normalised and weighed: Quality, Semantic, Total.

Pure but for the reading of files. Imports `eval.protocol`.
"""
