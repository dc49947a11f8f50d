"""Seams: jumps between frames at the borders of the blocks that a model denoised together.

`periodic` holds the statistics, `borders` says where borders lie, `pairs` measures consecutive
frames, `folder` does all of it over a folder or a run, `figure` draws it. Imports `drift.run`
for its worker processes, and the rooms below it.
"""
