"""A spec as a graph of jobs: command lines, inputs, dependencies, and what they will cost.

Imports `reports.paper`.
"""
