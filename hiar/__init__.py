"""Makes videos: the HiAR model, its sampler, and the latency benchmark.

Names are resolved on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hiar.checkpoint import load_transformer as load_transformer
    from hiar.config import SamplerConfig as SamplerConfig
    from hiar.config import WanConfig as WanConfig
    from hiar.pipeline import HiARPipeline as HiARPipeline
    from hiar.sampler import sample_latents as sample_latents
    from hiar.sampler import stream_latents as stream_latents
    from hiar.transformer import CausalWan as CausalWan

_HOME = {
    "CausalWan": "hiar.transformer",
    "HiARPipeline": "hiar.pipeline",
    "SamplerConfig": "hiar.config",
    "WanConfig": "hiar.config",
    "load_transformer": "hiar.checkpoint",
    "sample_latents": "hiar.sampler",
    "stream_latents": "hiar.sampler",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'hiar' has no attribute {name!r}")
