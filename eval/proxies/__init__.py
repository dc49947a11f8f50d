"""Measures for the tiny world that need no weights: motion, smoothness, flicker, shapes.

Imports `drift`'s decoder and statistics, and `hiar.tiny`.
"""
