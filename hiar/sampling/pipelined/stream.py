"""Sample with several processes: each owns consecutive denoising steps (the paper, Sec. 3.2).

The cells of a diagonal run at the same time, each on the rank that owns its step. The result
equals that of the orders `step_first` and `diagonal`, bit for bit on devices of one kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.runtime.device import Stopwatch
from hiar.sampling.cells import CellRunner
from hiar.sampling.checks import check_memory, fit_initial, fit_prompt_indices
from hiar.sampling.noise import KeyedNoise
from hiar.sampling.pipelined.group import PipelineGroup
from hiar.sampling.pipelined.links import BlockLinks
from hiar.sampling.pipelined.stage import PipelineStage
from hiar.sampling.pipelined.timeline import Timeline

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.sampling.cells import OnCell
    from hiar.sampling.config import SamplerConfig


def stream_pipelined(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    group: PipelineGroup,
    *,
    latent_shape: Sequence[int],
    num_blocks: int | None = None,
    seed: int = 0,
    prompt_index: int | Sequence[int] = 0,
    initial_latents: torch.Tensor | None = None,
    on_cell: OnCell | None = None,
    fused: bool = False,
    timeline: Timeline | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Run this rank's part of `stream_latents`; every rank calls it with the same arguments.

    Args:
        model: The transformer, the same weights on every rank.
        text, latent_shape, num_blocks, seed, prompt_index, initial_latents: See `stream_latents`.
        config: Settings of the sampler, with order `diagonal`.
        group: The processes of the pipeline.
        on_cell: Called after each cell of this rank with its block's latents.
        fused: Whether the context pass of a block runs together with the denoising pass of the
            next one, which gives the same result up to rounding.
        timeline: Recorder of what this rank does when.

    Returns:
        Yields (block_index, float32 latents [B, frames_per_block, C, H, W] after this rank's
        steps): on the last rank, clean.

    Raises:
        UsageError: At once, for an order that has no pipeline, more ranks than steps, or shapes
            that do not fit; on the way, if a block is not finite.
        RankLostError: On the way, if a neighbour is lost.
    """
    if config.order != "diagonal" or config.wave_batch:
        raise UsageError(
            f"order {config.order!r}{' with wave_batch' if config.wave_batch else ''} has no "
            "pipeline: use 'diagonal' without wave_batch, it samples the same video"
        )
    check_memory(config, num_blocks)
    noise = KeyedNoise(
        block_shape=(config.frames_per_block, *latent_shape), seed=seed,
        prompt_indices=fit_prompt_indices(prompt_index, text.shape[0]), device=model.device,
    )  # fmt: skip
    if initial_latents is not None:
        initial_latents = fit_initial(initial_latents, text.shape[0], latent_shape)
        initial_latents = initial_latents.to(noise.device, noise.dtype)
    return _stream(
        model, text, config, group, noise, num_blocks=num_blocks,
        initial_latents=initial_latents, on_cell=on_cell, fused=fused,
        steps=group.own_steps(len(config.steps)),
        timeline=timeline or Timeline(group.ranks.rank, Stopwatch(model.device)),
    )  # fmt: skip


@torch.no_grad()
def _stream(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    group: PipelineGroup,
    noise: KeyedNoise,
    *,
    num_blocks: int | None,
    initial_latents: torch.Tensor | None,
    on_cell: OnCell | None,
    fused: bool,
    steps: range,
    timeline: Timeline,
) -> Iterator[tuple[int, torch.Tensor]]:
    runner = CellRunner(
        model, text, config, noise.renoise, latent_shape=noise.block_shape[1:],
        num_blocks=num_blocks, initial_latents=initial_latents,
    )  # fmt: skip
    block_shape = (text.shape[0], *noise.block_shape)
    links = BlockLinks(group, block_shape, num_blocks=num_blocks, device=model.device)
    stage = PipelineStage(
        runner, steps, links, first_noise=noise.first, timeline=timeline,
        fused=fused, on_cell=on_cell,
    )  # fmt: skip
    yield from stage.blocks()
