"""An aligned sink that takes in what leaves the window: Reward Forcing's EMA sink.

When a block leaves the window, the sink becomes 0.999 of itself and 0.001 of that block, keys
without rotary phase and values alike. The release does it in the dtype of the cache, and so does
this: in bfloat16 most of such a small step is lost to rounding.
"""

from hiar.sampling.cache_policies.policy import CachePolicy

POLICY = CachePolicy(
    name="averaged-sink",
    summary="an aligned sink that takes in 0.001 of each block that leaves the window",
    source="Reward-Forcing 4317f5a wan/modules/causal_model.py, compression_alpha; "
    "configs/reward_forcing.yaml (9 latent frames, 3 of them sink)",
    aligns_sink=True,
    average=0.999,
)
