"""Results of other labs and of our own: packed from a reproduction, checked, and shown on one page.

Each lies in a folder of `entries`; README.md has the format. Imports `reports.paper` for the length
on which a model was trained, and nothing that runs jobs.
"""
