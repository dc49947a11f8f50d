"""The last latent frames and the first ones, each at its own rotary position."""

from hiar.sampling.cache_policies.policy import CachePolicy

POLICY = CachePolicy(
    name="sink",
    summary="the first latent frames too, at their own rotary positions",
    source="LongLive v1.0 e52d9ef configs/longlive_inference.yaml, wan/modules/causal_model.py",
)
