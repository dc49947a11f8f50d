"""The student's own videos, as training sees them: sampled up to a random step, then x0.

The steps before the exit run without gradient, through the sampler's cells. At the exit step each
block's prediction x0 is the output and carries the gradient of that one pass; what the block then
leaves in the cache for later blocks is `hiar.training.gradient_cache`'s matter.

Source: HiAR release (2026-06-19), pipeline for "timestep forcing" training; Self-Forcing's
training pipeline for order `block_first`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks, token_grid
from hiar.sampling.noise import keyed_renoise
from hiar.sampling.sampler import CLEAN_TIMESTEP, CellRunner, prompt_indices
from hiar.sampling.schedule import Cell, schedule_of
from hiar.sampling.sigmas import add_noise, denoising_steps, euler_step, sigma_at, x0_from_flow
from hiar.training.gradient_cache import BlockPass, CacheGradient, GradientCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hiar.model.transformer import CausalWan
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.noise import RenoiseFn


def rollout_with_exit(
    model: CausalWan,
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    exit_step: int,
    *,
    renoise: RenoiseFn | None = None,
    cache_gradient: CacheGradient = "straight_through",
    gradient_frames: int | None = None,
    noised_clean_context: bool = False,
    seed: int = 0,
    prompt_index: int | Sequence[int] = 0,
) -> torch.Tensor:
    """Sample a video with the student until `exit_step` and return what it predicts there.

    Args:
        model: The student.
        text: Text embeddings [B, text, text_dim].
        noise: Initial noise [B, F, C, H, W], F a whole number of blocks, on the model's device.
        config: Order, context, steps, window. After its exit a block is shown as if its stage
            had ended: at the level of the stage's output, clean after the last step.
        exit_step: Index of the step whose prediction is returned; the only one with a gradient.
        renoise: `renoise(step, block)` returns [B, frames_per_block, C, H, W]; what a block is
            shown with after its exit is `renoise(exit_step, block)`. None draws noise keyed by
            (seed, prompt, block, step), as the sampler does.
        cache_gradient: Where the gradient of a block's context goes: `straight_through` into the
            block's own denoising pass, `detached` nowhere.
        gradient_frames: Latent frames at the end of the video that carry a gradient, whole
            blocks; None is all. Blocks before them are context alone.
        noised_clean_context: Show clean context with noise at the smallest sigma of the table,
            still labelled 0 (Self-Forcing's training, not its inference).
        seed, prompt_index: Keys of the default `renoise`, as in `sample_latents`.

    Returns:
        Predictions x0 [B, F, C, H, W] of all blocks, the dtype of `noise`.

    Raises:
        UsageError: If shapes, the exit step or the order do not fit.
    """
    _check(text, noise, config, exit_step, gradient_frames)
    size = config.frames_per_block
    if renoise is None:
        renoise = keyed_renoise(
            (size, *noise.shape[2:]), seed=seed,
            prompt_indices=prompt_indices(prompt_index, noise.shape[0]),
            device=noise.device, dtype=noise.dtype,
        )  # fmt: skip
    exit_stage = schedule_of(config).stage_of(exit_step)
    blocks = _run_stages_before(exit_stage, model, text, noise, config, renoise)
    runner = _ExitStage(
        model, text, config, renoise, exit_step,
        cache_gradient=cache_gradient, noised_clean_context=noised_clean_context,
        latent_shape=noise.shape[2:],
    )  # fmt: skip
    first_with_gradient = noise.shape[1] - (gradient_frames or noise.shape[1])
    predictions = []
    for block, latents in enumerate(blocks):
        is_last = block + 1 == len(blocks)
        wants_gradient = block * size >= first_with_gradient and torch.is_grad_enabled()
        with torch.set_grad_enabled(wants_gradient):
            predictions.append(runner.run(block, latents, show=not is_last))
    return torch.cat(predictions, dim=1)


@torch.no_grad()
def _run_stages_before(
    exit_stage: int,
    model: CausalWan,
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    renoise: RenoiseFn,
) -> list[torch.Tensor]:
    """The blocks at the input level of the exit stage, by the sampler's own cells."""
    blocks = list(noise.split(config.frames_per_block, dim=1))
    if not exit_stage:
        return blocks
    runner = CellRunner(
        model, text, config, renoise, latent_shape=noise.shape[2:], num_blocks=len(blocks)
    )
    for stage in runner.schedule.stages[:exit_stage]:
        for block in range(len(blocks)):
            for step in stage:
                (blocks[block],) = runner.run((Cell(step, block),), (blocks[block],))
    return blocks


class _ExitStage:
    """Runs the stage of the exit step, block after block, against a cache that keeps gradients.

    Args:
        model, text, config, renoise, exit_step: As `rollout_with_exit`.
        cache_gradient, noised_clean_context: As `rollout_with_exit`.
        latent_shape: (C, H, W).
    """

    def __init__(
        self,
        model: CausalWan,
        text: torch.Tensor,
        config: SamplerConfig,
        renoise: RenoiseFn,
        exit_step: int,
        *,
        cache_gradient: CacheGradient,
        noised_clean_context: bool,
        latent_shape: Sequence[int],
    ) -> None:
        self.model = model
        self.config = config
        self.renoise = renoise
        self.exit_step = exit_step
        self.noised_clean_context = noised_clean_context
        self.steps = denoising_steps(config)
        schedule = schedule_of(config)
        self.stage = schedule.stages[schedule.stage_of(exit_step)]
        self.text = model.encode_text(text.to(model.device))
        rows, columns = token_grid(latent_shape[1], latent_shape[2], model.config.patch_size)
        self.cache = GradientCache(
            model.config.num_layers, rows * columns,
            window=config.window, sink=config.sink, gradient=cache_gradient,
        )  # fmt: skip

    def run(self, block: int, latents: torch.Tensor, *, show: bool) -> torch.Tensor:
        """Denoise a block [B, frames, C, H, W] to the exit; x0, with a gradient if enabled.

        Args:
            block: Its index.
            latents: At the input level of the stage.
            show: Leave it in the cache for a later block.
        """
        first_frame = block * self.config.frames_per_block
        with torch.no_grad():
            for step in range(self.stage.start, self.exit_step):
                x0, flow, _ = self._denoise(latents, step, first_frame)
                latents = self._advance(latents, x0, flow, step, step + 1, block)
        x0, flow, denoised = self._denoise(latents, self.exit_step, first_frame)
        if show:
            with torch.no_grad():
                shown = self._show(latents, x0, flow, block)
            self.cache.show(first_frame, self.config.frames_per_block, denoised, shown)
        return x0

    def _denoise(
        self, latents: torch.Tensor, step: int, first_frame: int
    ) -> tuple[torch.Tensor, torch.Tensor, BlockPass]:
        """A denoising pass: x0, the flow, and the keys and values that the pass left."""
        flow, block_pass = self._forward(latents, self.steps[step].timestep, first_frame)
        assert flow is not None
        return x0_from_flow(latents, flow, self.steps[step].sigma), flow, block_pass

    def _show(
        self, latents: torch.Tensor, x0: torch.Tensor, flow: torch.Tensor, block: int
    ) -> BlockPass | None:
        """The context pass after the exit; None if later blocks see the denoising pass's keys."""
        if self.config.context == "input":
            return None
        is_finished = self.stage.stop == len(self.steps)
        if is_finished or self.config.context == "clean":
            seen, timestep = x0, CLEAN_TIMESTEP
            if self.noised_clean_context:
                sigma = sigma_at(torch.tensor(CLEAN_TIMESTEP), self.config.shift).item()
                seen = add_noise(x0, self.renoise(self.exit_step, block), sigma)
        else:
            seen = self._advance(latents, x0, flow, self.exit_step, self.stage.stop, block)
            timestep = self.steps[self.stage.stop].timestep
        first_frame = block * self.config.frames_per_block
        return self._forward(seen, timestep, first_frame, need_flow=False)[1]

    def _advance(
        self,
        latents: torch.Tensor,
        x0: torch.Tensor,
        flow: torch.Tensor,
        step: int,
        next_step: int,
        block: int,
    ) -> torch.Tensor:
        """Take a block from the level of one step to that of a later one."""
        next_sigma = self.steps[next_step].sigma
        if not self.config.stochastic:
            return euler_step(latents, flow, self.steps[step].sigma, next_sigma)
        return add_noise(x0, self.renoise(step, block), next_sigma)

    def _forward(
        self, latents: torch.Tensor, timestep: float, first_frame: int, *, need_flow: bool = True
    ) -> tuple[torch.Tensor | None, BlockPass]:
        block_pass = self.cache.begin(first_frame, latents.shape[1])
        timesteps = torch.full((latents.shape[0],), timestep, device=latents.device)
        flow = self.model.forward_block(
            latents, timesteps, self.text, block_pass, first_frame, need_flow=need_flow
        )
        return flow, block_pass


def _check(
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    exit_step: int,
    gradient_frames: int | None,
) -> None:
    if noise.ndim != 5 or noise.shape[0] != text.shape[0]:
        raise UsageError(
            f"noise has shape {tuple(noise.shape)}: it must be [B, F, C, H, W] with "
            f"B = {text.shape[0]}, the batch of the text"
        )
    size, total = config.frames_per_block, noise.shape[1]
    num_blocks(total, size)
    if not 0 <= exit_step < len(config.steps):
        raise UsageError(f"exit_step {exit_step} must lie in [0, {len(config.steps)})")
    if config.block_first_blocks:
        raise UsageError(
            f"block_first_blocks {config.block_first_blocks}: a rollout trains every block alike; "
            "leave it 0"
        )
    if gradient_frames is not None and (not 0 < gradient_frames <= total or gradient_frames % size):
        raise UsageError(
            f"gradient_frames {gradient_frames} must be whole blocks of {size}, at most the "
            f"video's {total}"
        )
