"""Checks of what a sampler is given and of what it makes; shared with the pipeline and training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hiar.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hiar.sampling.config import SamplerConfig


def check_noise(noise: torch.Tensor, text: torch.Tensor) -> None:
    """Raise unless the initial noise is that of whole videos, one for each text of the batch."""
    if noise.ndim != 5 or noise.shape[0] != text.shape[0]:
        raise UsageError(
            f"noise has shape {tuple(noise.shape)}: it must be [B, F, C, H, W] with "
            f"B = {text.shape[0]}, the batch of the text"
        )


def check_memory(config: SamplerConfig, num_blocks: int | None) -> None:
    """Raise if a stream without end has no window, so that its caches would grow without end."""
    if num_blocks is None and config.window is None:
        raise UsageError("a stream without end needs a window, or memory would grow: set a window")


def fit_prompt_indices(prompt_index: int | Sequence[int], batch_size: int) -> Sequence[int]:
    """The noise key of each video: the ones given, or consecutive ones from the one given."""
    if isinstance(prompt_index, int):
        return range(prompt_index, prompt_index + batch_size)
    if len(prompt_index) != batch_size:
        raise UsageError(f"{len(prompt_index)} prompt indices for {batch_size} videos: one each")
    return tuple(prompt_index)


def fit_initial(
    latents: torch.Tensor, batch_size: int, latent_shape: Sequence[int]
) -> torch.Tensor:
    """Initial latents [B, F0, C, H, W] of every video, given for each one or once for all."""
    fits = latents.ndim == 5 and latents.shape[0] in (1, batch_size) and latents.shape[1] > 0
    if not fits or latents.shape[2:] != tuple(latent_shape):
        raise UsageError(
            f"initial_latents have shape {tuple(latents.shape)}: they must be "
            f"[{batch_size} or 1, at least 1, {', '.join(map(str, latent_shape))}]"
        )
    check_finite(latents, "given")
    return latents.expand(batch_size, -1, -1, -1, -1)


def check_finite(latents: torch.Tensor, block: int | str) -> torch.Tensor:
    """Return the latents of a finished block; raise if a value is NaN or infinite."""
    if not latents.isfinite().all():
        share = 1 - latents.isfinite().float().mean().item()
        raise UsageError(
            f"latents of block {block}: {share:.0%} of the values are not finite; float16 "
            "overflows where bfloat16 and float32 do not: use one of these, or check the weights"
        )
    return latents
