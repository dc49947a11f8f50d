"""Makes videos: the HiAR model, its sampler, and the latency benchmark.

Names are resolved on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hiar.model.config import WanConfig as WanConfig
    from hiar.model.transformer import CausalWan as CausalWan
    from hiar.pipeline import HiARPipeline as HiARPipeline
    from hiar.sampling.config import SamplerConfig as SamplerConfig
    from hiar.sampling.sampler import sample_latents as sample_latents
    from hiar.sampling.sampler import stream_latents as stream_latents
    from hiar.weights.checkpoint import load_transformer as load_transformer

_HOME = {
    "CausalWan": "hiar.model.transformer",
    "HiARPipeline": "hiar.pipeline",
    "SamplerConfig": "hiar.sampling.config",
    "WanConfig": "hiar.model.config",
    "load_transformer": "hiar.weights.checkpoint",
    "sample_latents": "hiar.sampling.sampler",
    "stream_latents": "hiar.sampling.sampler",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'hiar' has no attribute {name!r}")
