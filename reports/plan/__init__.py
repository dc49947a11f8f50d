"""A spec as a graph of jobs: command lines, inputs, what each needs, what it will cost.

Imports `reports.paper`.
"""
