"""The mechanism study as data: one model that takes context of any noise level, sampled many ways.

The students of `hiar.tiny.study` differ in training, and so does whatever they show. Here nothing
differs but the sampling: the model was trained by diffusion forcing, each block of a clip at a
noise level of its own, so no order and no context level is foreign to it (Sec. 3.1 of the paper
argues about exactly such a choice).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hiar.sampling.config import Context, Order

FOLDER = PurePosixPath("study/any-level")
"""Folder of the shipped model among the tiny assets: training seed 0."""
SHIFT = 5.0
"""Shift of the sigma table, the default of `SamplerConfig`."""
SETTINGS = (
    "init=tiny/teacher", "pretrain.attention=block_causal", "steps=1500", "num_clips=384",
)  # fmt: skip
"""What the training changes in preset `tiny-pretrain`: block-causal attention, and with it a noise
level for each block, from the teacher's weights."""
SEEDS = (0, 1, 2, 3, 4, 5)
"""Training seeds. Six, by a pilot of seeds 0 and 1, whose changes from clean to output context were
-32 % and -6 %: with that spread, six trainings show a change of 25 % nine times in ten."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """One way to sample the model: a row of the study.

    Attributes:
        name: Id of the row.
        label: What it is, for tables.
        order, context, context_noise: Fields of `SamplerConfig`.
        model: Model that is sampled, where a study has several.
    """

    name: str
    label: str
    order: Order
    context: Context
    context_noise: float = 0.0
    model: str = ""

    @property
    def context_sigma(self) -> float | None:
        """Sigma at which all context is seen; None where it follows the step, or the block."""
        return self.context_noise / 1000 if self.context == "clean" else None


def _fixed(position: float) -> tuple[Sampling, Sampling]:
    """Both orders with context noised to a fixed level.

    Args:
        position: Where the level lies in the sigma table, from 0 (clean) to 1 (noise); 0.75, 0.5
            and 0.25 are the levels between the default sampler's steps.
    """
    sigma = SHIFT * position / (1 + (SHIFT - 1) * position)
    level = f"sigma {sigma:.2f}" if sigma else "clean"
    return (
        Sampling(
            name=f"block-first-{position:g}", label=f"block-first, context {level}",
            order="block_first", context="clean", context_noise=1000 * sigma,
        ),
        Sampling(
            name=f"step-first-{position:g}", label=f"step-first, context {level}",
            order="step_first", context="clean", context_noise=1000 * sigma,
        ),
    )  # fmt: skip


POSITIONS = (0.0, 0.1, 0.25, 0.5, 0.75)
OUTPUT = Sampling(
    name="step-first-output", label="step-first, context at the step's output level (HiAR)",
    order="step_first", context="output",
)  # fmt: skip
INPUT = Sampling(
    name="step-first-input", label="step-first, context at the step's input level",
    order="step_first", context="input",
)  # fmt: skip
SAMPLINGS: tuple[Sampling, ...] = (
    *(row for position in POSITIONS for row in _fixed(position)), OUTPUT, INPUT,
)  # fmt: skip
REFERENCE = SAMPLINGS[0].name
"""The row that changes are relative to: block-first with clean context, Self-Forcing's way."""
