"""What every distilled causal Wan model shares.

Weights and samplers are those of `hiar.releases`, from which `hiar` loads and runs them.
"""

from baselines.spec import Distilled, Length, Rollout
from hiar.releases import COMMON_PARTS, WeightFile, find_part, find_release

# num_frames = 4 (num_latent_frames - 1) + 1: 21 latent frames are 81, 81 latent frames are 321.
SHORT = Length(num_frames=81, setting="21 latent frames")
LONG = Length(num_frames=321, setting="81 latent frames, window 21")


def release_weights(key: str) -> tuple[WeightFile, ...]:
    """A release's transformer; and text encoder and VAE, which are the base model's."""
    return tuple(find_part(name).file for name in (find_release(key).part, *COMMON_PARTS))


def sampler_of(key: str, *, rollout: Rollout = "rolling window", overlap: int = 0) -> Distilled:
    """How a release samples.

    Args:
        key: Name of the release.
        rollout: What happens past the window.
        overlap: Latent frames that two overlapping windows share.
    """
    release = find_release(key)
    sampler = release.sampler
    assert sampler.window is not None
    return Distilled(
        steps=sampler.steps,
        warp=sampler.warp,
        shift=sampler.shift,
        frames_per_block=sampler.frames_per_block,
        order=sampler.order,
        context=sampler.context,
        stochastic=sampler.stochastic,
        window=sampler.window,
        sink=sampler.sink,
        rollout=rollout,
        overlap=overlap,
        state_dict_keys=release.state_dict_keys,
        source=release.source,
    )
