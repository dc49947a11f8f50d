"""The last latent frames and the first ones, which move along so as to lie just before the window.

LongLive's and Infinity-RoPE's code caches keys without rotary phase and numbers the visible frames
from 0 on, sink first. Attention depends on differences of positions only, so that is the same as
leaving all positions alone but the sink's.
"""

from hiar.sampling.cache_policies.policy import CachePolicy

POLICY = CachePolicy(
    name="aligned-sink",
    summary="the first latent frames too, in rotary phase just before the window",
    source="LongLive v1.0 e52d9ef wan/modules/causal_model_infinity.py (12 latent frames, 3 of "
    "them sink); Infinity-RoPE 63d7b84 wan/modules/causal_model.py (6, 1)",
    aligns_sink=True,
)
