"""What every distilled causal Wan model shares.

Weights and samplers are those of `hiar.weights.releases`, from which `hiar` loads and runs them.
"""

from dataclasses import asdict
from typing import Any

from baselines.spec import Environment, Length, ModelSpec
from hiar.model.geometry import decoded_frames_per_block, num_frames
from hiar.weights.releases import WeightFile, find_release, parts_of


def latent_length(latent_frames: int) -> Length:
    """Length of a video of that many latent frames, sampled in one run."""
    return Length(num_frames=num_frames(latent_frames), arguments={"latent_frames": latent_frames})


SHORT = latent_length(21)  # 81 frames, 5.06 s
LONG = latent_length(81)  # 321 frames, 20.06 s
RECORDED = (
    "steps",
    "warp",
    "shift",
    "frames_per_block",
    "order",
    "context",
    "stochastic",
    "window",
    "sink",
    "cache",
)
"""Sampler settings that records name; the others apply to no model here."""


def release_environment(repository: str, commit: str, source: str) -> Environment:
    """The environment of a code that descends from Self-Forcing's.

    HiAR's requirements.txt leaves out easydict and ftfy, which its code imports, and Self-Forcing's
    asks for much that no sample imports; so the packages that a sample imports are listed here, at
    their versions. flash-attn is left out, because it wants a compiler: without it PyTorch's
    attention stands in its place. Install it as well to time what the release's users have.

    Args:
        repository: Address of the code.
        commit: Commit of the code.
        source: Source of the versions.
    """
    return Environment(
        repository=repository,
        commit=commit,
        python="3.10",
        install=(
            "python -m pip install 'torch>=2.4' torchvision numpy==1.24.4 diffusers==0.31.0 "
            "'transformers>=4.49' accelerate einops easydict ftfy pyyaml tqdm",
        ),
        source=source,
    )


def release_weights(key: str) -> tuple[WeightFile, ...]:
    """Weights of a release: its transformer, and the text encoder and VAE of the base model."""
    return tuple(part.file for part in parts_of(key))


def block_frames(key: str) -> int:
    """Number of decoded frames that a steady block of a release adds."""
    return decoded_frames_per_block(find_release(key).sampler.frames_per_block)


def sampler_facts(spec: ModelSpec) -> dict[str, Any] | None:
    """How a distilled model samples, as records hold it; None for other models."""
    if spec.release is None:
        return None
    release = find_release(spec.release)
    settings = asdict(release.sampler) | {"cache": release.sampler.policy.name}
    return {name: settings[name] for name in RECORDED} | {
        "rollout": "overlapping windows" if spec.overlap else "rolling window",
        "overlap": spec.overlap,
        "state_dict_keys": release.state_dict_keys,
        "source": release.source,
    }
