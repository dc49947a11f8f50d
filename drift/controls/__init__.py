"""Control videos: real ones with a planted fault, and what the metrics make of them.

`degradations` and `orders` are the faults, `control` lists them, `folder` writes the videos,
`validation` scores them and says what each metric sees, `heat_map` draws that. Imports `drift.run`
and `drift.seams`, and the rooms below them.
"""
