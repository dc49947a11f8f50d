"""Which earlier latent frames a block sees, and at which rotary positions: a file for each rule.

Import `find_policy` and `default_policy` from `registry`. A policy is data, and importing one loads
no torch; `moving_sink` holds the cache of the two policies whose sink changes. Imports
`hiar.model`.
"""
