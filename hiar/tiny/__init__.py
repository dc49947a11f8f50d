"""The tiny world: short clips of moving shapes, their prompts, detectors, and shipped weights.

`assets` holds the models that were trained on it. A number from here is always marked as tiny.
Imports `hiar.weights` and the rooms below it.
"""
