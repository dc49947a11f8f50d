"""Settings of distillation: the paper's, the release's, and the trained rows of Tables 1 to 3.

`docs/differences.md` lists where the two recipes part. What the paper leaves open is taken from
the release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, get_args

from hiar.errors import UsageError
from hiar.sampling.config import Context, SamplerConfig
from hiar.training.forward_kl import ForwardKLConfig, FullAttention
from hiar.training.gradient_cache import CacheGradient, check_cache_gradient

T = TypeVar("T")

StudentInput = Literal["rollout", "data"]
"""What a student's predictions are made from: its own earlier blocks, or noised data."""


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Settings of one distillation run.

    Attributes:
        sampler: How the student is rolled out: order, context, steps, window.
        student_input: `rollout` lets the student see its own blocks; `data` shows it the clean
            ends of the teacher's trajectories, each block at the level of a random step (CausVid).
        cache_gradient: Whether a later block's loss reaches the earlier block's denoising pass.
        noised_clean_context: Add the least noise to clean context (Self-Forcing's training).
        min_exit_step: First step at which a rollout may exit; the exit is uniform from here on.
        max_rollout_frames: Longest rollout in latent frames; its length is drawn in whole blocks
            from the training length up, and the last frames are trained. None is the training
            length.
        guidance: Guidance scale of the teacher, uncond + guidance (cond - uncond).
        forward_kl: The regulariser; None leaves it out.
        generator_every: Training steps to one update of the student; each updates the critic.
        batch_size: Videos of a step, all processes together.
        micro_batch: Videos in memory at once.
        learning_rate: Constant learning rate of the student.
        critic_learning_rate: Constant learning rate of the critic.
        beta1, beta2, weight_decay: Settings of AdamW, for both networks.
        clip_norm: Largest norm of the gradient of either network.
        ema_decay: Decay of the EMA of the student's weights; 0 keeps none.
        ema_start: First training step that the EMA takes in.
    """

    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    student_input: StudentInput = "rollout"
    cache_gradient: CacheGradient = "straight_through"
    noised_clean_context: bool = False
    min_exit_step: int = 0
    max_rollout_frames: int | None = None
    guidance: float = 4.0
    forward_kl: ForwardKLConfig | None = field(default_factory=ForwardKLConfig)
    generator_every: int = 5
    batch_size: int = 64
    micro_batch: int = 1
    learning_rate: float = 2e-6
    critic_learning_rate: float = 3e-7
    beta1: float = 0.0
    beta2: float = 0.999
    weight_decay: float = 1e-2
    clip_norm: float = 10.0
    ema_decay: float = 0.99
    ema_start: int = 200

    def __post_init__(self) -> None:
        check_cache_gradient(self.cache_gradient)
        if self.student_input not in get_args(StudentInput):
            raise UsageError(
                f"student_input {self.student_input!r} is unknown: use one of "
                f"{', '.join(get_args(StudentInput))}"
            )
        num_steps = len(self.sampler.steps)
        if not 0 <= self.min_exit_step < num_steps:
            raise UsageError(f"min_exit_step {self.min_exit_step} must lie in [0, {num_steps})")
        if self.forward_kl is not None and self.forward_kl.steps > num_steps:
            raise UsageError(f"forward-KL steps {self.forward_kl.steps}: there are {num_steps}")
        for name in ("generator_every", "batch_size", "micro_batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} must be at least 1")
        for name in ("learning_rate", "critic_learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} {getattr(self, name)} must be above 0")
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"ema_decay {self.ema_decay} must lie in [0, 1)")


def paper() -> DistillConfig:
    """Secs. 3.3 and 4.1 and Algorithm 1 of the paper.

    Steps are Euler steps; the forward-KL term is bidirectional, on the velocity. The paper says
    nothing of the cache's gradient; it follows Self-Forcing, whose paper cuts it.
    """
    return DistillConfig(
        sampler=SamplerConfig(stochastic=False),
        cache_gradient="detached",
        forward_kl=ForwardKLConfig(attention="bidirectional", target="velocity"),
    )


def release() -> DistillConfig:
    """What the released trainer computes (2026-06-19, configs/hiar.yaml)."""
    return DistillConfig(
        sampler=SamplerConfig(stochastic=True),
        cache_gradient="straight_through",
        forward_kl=ForwardKLConfig(attention="block_causal", target="x0"),
    )


Change = Callable[[DistillConfig], DistillConfig]

RECIPES: Mapping[str, Callable[[], DistillConfig]] = {"paper": paper, "release": release}


def recipe(name: str) -> DistillConfig:
    """The settings of a recipe by name.

    Raises:
        UsageError: If there is none of that name.
    """
    return _choose("recipe", name, RECIPES)()


def _with_context(context: Context) -> Change:
    return lambda base: replace(base, sampler=replace(base.sampler, context=context))


def _with_forward_kl(
    attention: FullAttention, steps: int
) -> Callable[[DistillConfig], DistillConfig]:
    def change(base: DistillConfig) -> DistillConfig:
        term = base.forward_kl or ForwardKLConfig()
        return replace(base, forward_kl=replace(term, attention=attention, steps=steps))

    return change


def _self_forcing(base: DistillConfig) -> DistillConfig:
    """Block by block, clean context with the least noise, fresh noise a step, no regulariser."""
    sampler = replace(base.sampler, order="block_first", context="clean", stochastic=True)
    return replace(base, sampler=sampler, noised_clean_context=True, forward_kl=None)


def _causvid(base: DistillConfig) -> DistillConfig:
    """Block by block on clean context, but trained on noised data: no video of its own."""
    return replace(_self_forcing(base), student_input="data", noised_clean_context=False)


ABLATIONS: Mapping[str, Change] = {
    "context-input": _with_context("input"),
    "context-output": _with_context("output"),
    "context-clean": _with_context("clean"),
    "fkl-bidirectional-1": _with_forward_kl("bidirectional", 1),
    "fkl-causal-1": _with_forward_kl("block_causal", 1),
    "fkl-bidirectional-2": _with_forward_kl("bidirectional", 2),
    "fkl-bidirectional-4": _with_forward_kl("bidirectional", 4),
    "no-fkl": lambda base: replace(base, forward_kl=None),
    "self-forcing": _self_forcing,
    "causvid": _causvid,
}
"""Trained rows of Tables 1 to 3 by the names of the published numbers, as changes of a recipe.

Table 3's "w/o re-training" is no training: the self-forcing student sampled step by step.
"""


def ablation(name: str, base: DistillConfig) -> DistillConfig:
    """A recipe with the one change that a row of Tables 1 to 3 makes.

    Args:
        name: Name of the row, a key of `ABLATIONS`.
        base: Recipe to change.

    Raises:
        UsageError: If no row has that name.
    """
    return _choose("ablation", name, ABLATIONS)(base)


def _choose(what: str, name: str, choices: Mapping[str, T]) -> T:
    if name not in choices:
        raise UsageError(f"{what} {name!r} is unknown: use one of {', '.join(choices)}")
    return choices[name]
