"""The student's videos, as training sees them: sampled up to a random step, then x0.

The steps before the exit step run without gradient, through the sampler's cells. At the exit step
each block's prediction x0 is the output and carries the gradient of that one pass. How the block's
keys and values reach later blocks, and the gradient with them, is the matter of
`hiar.training.gradient_cache`.

`predict_from_data` is the older way, without a rollout: x0 of noised data.

Source: HiAR release (2026-06-19), pipeline for "timestep forcing" training; Self-Forcing's
training pipeline for order `block_first`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks, token_grid
from hiar.model.kv_cache import CacheSlot
from hiar.sampling.cells import CellRunner
from hiar.sampling.checks import check_noise, fit_prompt_indices
from hiar.sampling.denoising import CLEAN_TIMESTEP, Denoising
from hiar.sampling.noise import KeyedNoise
from hiar.sampling.schedule import Cell, schedule_of
from hiar.sampling.sigmas import add_noise, denoising_steps, sigma_at, x0_from_flow
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
        config: Order, context, steps, window. Later blocks see a block as if its stage had ended:
            at the level of the stage's output, clean after the last step.
        exit_step: Index of the step whose prediction is returned; the only one with a gradient.
        renoise: `renoise(step, block)` returns [B, frames_per_block, C, H, W]; a block's context
            after its exit is noised with `renoise(exit_step, block)`. None draws noise keyed by
            (seed, prompt, block, step), as the sampler does.
        cache_gradient: How gradients flow through cached context: `straight_through` into the
            denoising pass of the block that left it, `detached` nowhere.
        gradient_frames: Latent frames at the end of the video that carry a gradient, whole
            blocks; None is all. Blocks before them are context alone.
        noised_clean_context: Add noise at the smallest sigma of the table to clean context, which
            is still labelled 0 (Self-Forcing's training, not its inference).
        seed, prompt_index: Keys of the default `renoise`, as in `sample_latents`.

    Returns:
        Predictions x0 [B, F, C, H, W] of all blocks, the dtype of `noise`.

    Raises:
        UsageError: If shapes, the exit step or the order do not fit.
    """
    _check(text, noise, config, exit_step, gradient_frames)
    if renoise is None:
        renoise = KeyedNoise(
            block_shape=(config.frames_per_block, *noise.shape[2:]), seed=seed,
            prompt_indices=fit_prompt_indices(prompt_index, noise.shape[0]),
            device=noise.device, dtype=noise.dtype,
        ).renoise  # fmt: skip
    blocks = _run_stages_before(exit_step, model, text, noise, config, renoise)
    stage = _ExitStage(
        model, text, config, renoise, exit_step, cache_gradient=cache_gradient,
        noised_clean_context=noised_clean_context, latent_shape=noise.shape[2:],
    )  # fmt: skip
    return torch.cat(stage.run(blocks, gradient_frames or noise.shape[1]), dim=1)


def predict_from_data(
    model: CausalWan,
    text: torch.Tensor,
    clean: torch.Tensor,
    noise: torch.Tensor,
    steps_of_blocks: torch.Tensor,
    config: SamplerConfig,
) -> torch.Tensor:
    """Predict data from itself with noise added, all blocks in one pass under causal attention.

    Every block is noised to the input level of a step of its own, and sees earlier blocks of the
    data at theirs. So the student never meets what it made itself (CausVid's distillation).

    Args:
        model: The student.
        text: Text embeddings [B, text, text_dim].
        clean: Latents of the data [B, F, C, H, W], F a whole number of blocks.
        noise: Unit normal noise, the shape of `clean`.
        steps_of_blocks: Index of a denoising step for each block, int64 [B, blocks].
        config: Steps, blocks and window.

    Returns:
        Predictions x0 [B, F, C, H, W], with a gradient if gradients are enabled.
    """
    steps = denoising_steps(config)
    frames_per_block = config.frames_per_block

    def of_frames(values: list[float]) -> torch.Tensor:
        table = torch.tensor(values, device=clean.device)
        return table[steps_of_blocks].repeat_interleave(frames_per_block, dim=1)

    sigmas = of_frames([step.sigma for step in steps])[:, :, None, None, None]
    noised = add_noise(clean, noise, sigmas)
    flow = model(
        noised, of_frames([step.timestep for step in steps]), text, "block_causal",
        frames_per_block=frames_per_block, window=config.window,
    )  # fmt: skip
    return x0_from_flow(noised, flow, sigmas)


@torch.no_grad()
def _run_stages_before(
    exit_step: int,
    model: CausalWan,
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    renoise: RenoiseFn,
) -> list[torch.Tensor]:
    """The blocks at the input level of the exit step's stage, by the sampler's own cells."""
    blocks = list(noise.split(config.frames_per_block, dim=1))
    schedule = schedule_of(config)
    stages = schedule.stages[: schedule.stage_of(exit_step)]
    if not stages:
        return blocks
    runner = CellRunner(
        model, text, config, renoise, latent_shape=noise.shape[2:], num_blocks=len(blocks)
    )
    for stage in stages:
        for block in range(len(blocks)):
            for step in stage:
                (blocks[block],) = runner.run((Cell(step, block),), (blocks[block],))
    return blocks


class _ExitStage:
    """Runs the stage of the exit step, block after block, against a cache that keeps gradients.

    Args:
        model, text, config, renoise, exit_step: See `rollout_with_exit`.
        cache_gradient, noised_clean_context: See `rollout_with_exit`.
        latent_shape: (C, H, W) of a latent frame.
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
        if config.policy.aligns_sink:
            raise UsageError(
                f"cache {config.policy.name!r}: training keeps gradients through a window and a "
                "sink that stays as it is; train with cache 'sink'"
            )
        self._model = model
        self._config = config
        self._renoise = renoise
        self._exit_step = exit_step
        self._noised_clean_context = noised_clean_context
        self._denoising = Denoising(config, renoise)
        self._schedule = schedule_of(config)
        self._stage = self._schedule.stages[self._schedule.stage_of(exit_step)]
        self._text = model.encode_text(text.to(model.device))
        rows, columns = token_grid(latent_shape[1], latent_shape[2], model.config.patch_size)
        self._cache = GradientCache(
            model.config.num_layers, rows * columns,
            window=config.window, sink=config.sink, gradient=cache_gradient,
        )  # fmt: skip

    def run(self, blocks: Sequence[torch.Tensor], gradient_frames: int) -> list[torch.Tensor]:
        """Predict x0 of every block at the exit step.

        Args:
            blocks: Latents [B, frames_per_block, C, H, W] at the input level of the stage.
            gradient_frames: Latent frames at the end of the video that carry a gradient, if
                gradients are enabled at all.
        """
        size = self._config.frames_per_block
        first_with_gradient = len(blocks) * size - gradient_frames
        predictions = []
        for block, latents in enumerate(blocks):
            wants_gradient = block * size >= first_with_gradient and torch.is_grad_enabled()
            with torch.set_grad_enabled(wants_gradient):
                predictions.append(self._run_block(block, latents, len(blocks)))
        return predictions

    def _run_block(self, block: int, x: torch.Tensor, num_blocks: int) -> torch.Tensor:
        """Denoise a block to the exit and leave its context to later blocks; x0."""
        with torch.no_grad():
            for step in range(self._stage.start, self._exit_step):
                x0, flow, _ = self._denoise(x, step, block)
                x = self._denoising.advance(Cell(step, block), x, flow, x0, step + 1)
        x0, flow, denoised = self._denoise(x, self._exit_step, block)
        if block + 1 < num_blocks:
            with torch.no_grad():
                context = self._context_pass(block, x, flow, x0)
            size = self._config.frames_per_block
            self._cache.write_context(block * size, size, denoised, context)
        return x0

    def _denoise(
        self, x: torch.Tensor, step: int, block: int
    ) -> tuple[torch.Tensor, torch.Tensor, BlockPass]:
        """A denoising pass: x0, the flow, and the keys and values that the pass made."""
        flow, block_pass = self._forward(x, self._denoising.steps[step].timestep, block)
        return self._denoising.predict(x, flow, step), flow, block_pass

    def _context_pass(
        self, block: int, x: torch.Tensor, flow: torch.Tensor, x0: torch.Tensor
    ) -> BlockPass | None:
        """The context pass after the exit; None if later blocks see the denoising pass's keys."""
        end = self._stage.stop
        level = self._schedule.context_level(Cell(end - 1, block), None)
        if level is None:
            return None
        if level == "clean":
            cell = Cell(self._exit_step, block)
            latents = self._denoising.clean_context(cell, x0)
            timestep = self._denoising.context_timestep
            if self._noised_clean_context and not self._config.context_noise:
                sigma = sigma_at(torch.tensor(CLEAN_TIMESTEP), self._config.shift).item()
                latents = add_noise(x0, self._renoise(self._exit_step, block), sigma)
        else:
            cell = Cell(self._exit_step, block)
            latents = self._denoising.advance(cell, x, flow, x0, end)
            timestep = self._denoising.steps[end].timestep
        return self._forward(latents, timestep, block, need_flow=False)[1]

    def _forward(
        self, latents: torch.Tensor, timestep: float, block: int, *, need_flow: bool = True
    ) -> tuple[torch.Tensor, BlockPass]:
        first_frame = block * self._config.frames_per_block
        block_pass = self._cache.begin(first_frame, latents.shape[1])
        timesteps = torch.full((latents.shape[0],), timestep, device=latents.device)
        flow = self._model.forward_cached(
            latents, timesteps, self._text, [CacheSlot(block_pass, first_frame)],
            num_context=0 if need_flow else 1,
        )  # fmt: skip
        return flow, block_pass


def _check(
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    exit_step: int,
    gradient_frames: int | None,
) -> None:
    check_noise(noise, text)
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
