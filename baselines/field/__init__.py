"""What others published of models beyond the paper, and of the paper's own: facts with a source.

Nothing here runs a model. A fact without a source is "not known". Imports nothing of `baselines`.
"""
