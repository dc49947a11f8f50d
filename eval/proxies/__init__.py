"""Measures that need no weights, for the tiny world: motion, smoothness, flicker, shapes.

Imports the rooms above `eval.cli`, and the tiny world of `hiar`.
"""
