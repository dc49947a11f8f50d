"""What every distilled causal Wan model shares.

Weights and samplers are those of `hiar.weights.releases`, from which `hiar` loads and runs them.
"""

from baselines.spec import Distilled, Length, Rollout
from hiar.model.geometry import decoded_frames_per_block, num_frames
from hiar.sampling.config import SamplerConfig
from hiar.weights.releases import WeightFile, find_release, parts_of


def latent_length(latent_frames: int) -> Length:
    """The length of that many latent frames, sampled in one run."""
    return Length(num_frames=num_frames(latent_frames), arguments={"latent_frames": latent_frames})


SHORT = latent_length(21)  # 81 frames, 5.06 s
LONG = latent_length(81)  # 321 frames, 20.06 s


def release_weights(key: str) -> tuple[WeightFile, ...]:
    """A release's transformer; and text encoder and VAE, which are the base model's."""
    return tuple(part.file for part in parts_of(key))


def block_frames(key: str) -> int:
    """Decoded frames that a steady block of a release adds."""
    return decoded_frames_per_block(find_release(key).sampler.frames_per_block)


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


def sampler_config(distilled: Distilled) -> SamplerConfig:
    """The settings with which `hiar` samples the model; within a window, if windows overlap."""
    return SamplerConfig(
        steps=distilled.steps,
        warp=distilled.warp,
        shift=distilled.shift,
        frames_per_block=distilled.frames_per_block,
        order=distilled.order,
        context=distilled.context,
        stochastic=distilled.stochastic,
        window=distilled.window,
        sink=distilled.sink,
    )
