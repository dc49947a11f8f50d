"""How a video is sampled: steps, order, context, window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from hiar.errors import UsageError
from hiar.sampling.cache_policies.registry import default_policy, find_policy

if TYPE_CHECKING:
    from hiar.sampling.cache_policies.policy import CachePolicy

Order = Literal["block_first", "step_first", "diagonal", "hybrid"]
Context = Literal["output", "input", "clean"]
NUM_TRAIN_TIMESTEPS = 1000
"""Timesteps run from 0 to 1000 (Wan2.1, text2video.py, num_train_timesteps)."""


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How a video is sampled.

    Attributes:
        steps: Denoising steps as unwarped timesteps in (0, 1000], falling.
        warp: Map each step through the shifted sigma table, as the release does
            ([1000, 750, 500, 250] becomes [1000, 937.5, 833.33, 625] at shift 5).
        shift: Shift of the sigma table, > 0.
        frames_per_block: Latent frames denoised together.
        order: Sequence of the (step, block) cells. `block_first` finishes a block before the next
            one begins (Self-Forcing); `step_first` runs a step for all blocks before the next
            step (HiAR); `diagonal` gives the same result as `step_first`, wave by wave; `hybrid`
            begins block-first, as the next two settings say.
        block_first_steps: Order `hybrid` only: number of leading steps that each block runs back
            to back before the next block starts (HiAR release, inference_hybrid,
            frame_first_steps).
        block_first_blocks: Order `hybrid` only: number of leading blocks that run all their steps
            before the next block starts, and are clean context from then on (HiAR release,
            inference_hybrid_block0).
        context: Noise level at which earlier blocks are seen: that of the step's `output`
            (HiAR), that of its `input`, or `clean`.
        context_noise: Context `clean` only: timestep in [0, 1000) up to whose sigma clean context
            is noised again, and by which it is then labelled (Eq. 6 of the paper, whose t_c this
            is; the releases' configs have it as context_noise: 0).
        stochastic: True predicts x0 and adds fresh noise (the release); False takes an Euler
            step (the paper's Algorithm 1).
        window: Latent frames visible to a block, including its own and the sink; None means all.
        sink: Number of latent frames at the start of the video that never leave the window.
        cache: Name of the rule by which earlier frames are seen (`hiar.sampling.cache_policies`);
            None is `all`, `window` or `sink`, as window and sink say.
        wave_batch: Whether the cells of a wave run in one forward pass (order `diagonal` only):
            fewer, larger calls, and the same result up to rounding.
    """

    steps: tuple[float, ...] = (1000, 750, 500, 250)
    warp: bool = True
    shift: float = 5.0
    frames_per_block: int = 3
    order: Order = "step_first"
    block_first_steps: int = 0
    block_first_blocks: int = 0
    context: Context = "output"
    context_noise: float = 0.0
    stochastic: bool = True
    window: int | None = None
    sink: int = 0
    cache: str | None = None
    wave_batch: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        _check_choice("order", self.order, get_args(Order))
        _check_choice("context", self.context, get_args(Context))
        if not self.steps or any(not 0 < step <= NUM_TRAIN_TIMESTEPS for step in self.steps):
            raise UsageError(f"steps {self.steps}: give at least one, each in (0, 1000]")
        if any(a <= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise UsageError(f"steps {self.steps} must fall: noise only ever decreases")
        if self.warp and any(step != int(step) for step in self.steps):
            raise UsageError(f"steps {self.steps}: warped steps are whole, they index the table")
        if not 0 < self.shift < math.inf:
            raise UsageError(f"shift {self.shift} must be above 0 and finite")
        if self.frames_per_block < 1:
            raise UsageError(f"frames_per_block {self.frames_per_block} must be at least 1")
        _check_hybrid(self)
        if self.wave_batch and self.order != "diagonal":
            raise UsageError(f"order {self.order!r} has no waves to batch: use order 'diagonal'")
        if self.order == "block_first" and self.context != "clean":
            raise UsageError(
                f"context {self.context!r} with order 'block_first': a block is finished before "
                "the next begins, so its context is clean; use context='clean'"
            )
        if not 0 <= self.context_noise < NUM_TRAIN_TIMESTEPS:
            raise UsageError(
                f"context_noise {self.context_noise:g}: it is a timestep in [0, 1000); at 1000 "
                "nothing of the context would be left"
            )
        if self.context_noise and self.context != "clean":
            raise UsageError(
                f"context_noise {self.context_noise:g} with context {self.context!r}: only clean "
                "context is noised again; use context='clean'"
            )
        self.policy.check(self.window, self.sink, self.frames_per_block)

    @property
    def policy(self) -> CachePolicy:
        """The rule by which earlier frames are seen."""
        if self.cache is None:
            return default_policy(self.window, self.sink)
        return find_policy(self.cache)


def _check_hybrid(config: SamplerConfig) -> None:
    steps, blocks = config.block_first_steps, config.block_first_blocks
    if config.order != "hybrid" and (steps or blocks):
        raise UsageError(
            f"block_first_steps {steps} and block_first_blocks {blocks} belong to order 'hybrid', "
            f"not {config.order!r}"
        )
    if steps < 0 or blocks < 0 or (config.order == "hybrid" and not (steps or blocks)):
        raise UsageError(
            f"block_first_steps {steps} and block_first_blocks {blocks}: order 'hybrid' needs at "
            "least 1 of either"
        )
    if steps > len(config.steps):
        raise UsageError(f"block_first_steps {steps}: there are {len(config.steps)} steps")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} {value!r} is unknown: use one of {', '.join(choices)}")
