"""Published weights: which there are, where they lie, and how a checkpoint becomes a model.

Import `load_transformer` from `checkpoint`, the releases from `releases`. Imports `hiar.sampling`
(a release names its sampler), `hiar.model` and `hiar.runtime`.
"""
