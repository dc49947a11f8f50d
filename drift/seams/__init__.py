"""Seams: jumps between frames at the borders of the blocks that a model denoised together.

`periodic` holds the statistics, `borders` says where borders lie, `pairs` makes changes between
frames of what a run measured, `record` does all of it for a run, `figure` draws it. Imports
`drift.record` and the rooms below it.
"""
