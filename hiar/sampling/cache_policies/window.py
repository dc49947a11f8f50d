"""The last latent frames, and no others."""

from hiar.sampling.cache_policies.policy import CachePolicy

POLICY = CachePolicy(
    name="window",
    summary="the last latent frames, at their own rotary positions",
    source="HiAR da267d3 inference.py, 21 latent frames; Self-Forcing 33593df "
    "wan/modules/causal_model.py, local_attn_size with sink_size 0",
    has_sink=False,
)
