"""Every earlier latent frame stays."""

from hiar.sampling.cache_policies.policy import CachePolicy

POLICY = CachePolicy(
    name="all",
    summary="every earlier latent frame",
    source="Self-Forcing 33593df wan/modules/causal_model.py, local_attn_size -1",
    has_window=False,
    has_sink=False,
)
