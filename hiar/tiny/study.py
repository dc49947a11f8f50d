"""The tiny-world study as data: which models are trained, and which published rows each one fills.

All models share one teacher, one set of its trajectories, one ODE-initialised student, one budget
and one seed; they differ only in their row of `hiar.training.recipes.ABLATIONS`. Rows that coincide
are trained once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hiar.sampling.config import Context, Order

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class StudyModel:
    """One student of the study.

    Attributes:
        name: Name of its run.
        row: Key of `ABLATIONS` that it is trained with.
        fills: Rows of Tables 2 and 3 that it is the model of.
        folder: Folder of its weights among the tiny assets.
        order, context: How it was rolled out in training, and therefore how it is sampled.
    """

    name: str
    row: str
    fills: tuple[str, ...]
    folder: PurePosixPath
    order: Order = "step_first"
    context: Context = "output"


def _other(row: str, order: Order = "step_first", context: Context = "output") -> StudyModel:
    """A model that fills the row it is called after."""
    return StudyModel(
        name=row, row=row, fills=(row,), folder=PurePosixPath("study") / row,
        order=order, context=context,
    )  # fmt: skip


HIAR = StudyModel(
    name="hiar", row="context-output", fills=("context-output", "fkl-bidirectional-1"),
    folder=PurePosixPath("transformer"),
)  # fmt: skip
SELF_FORCING = StudyModel(
    # Table 2 calls its clean row Self-Forcing and prints Table 3's numbers of it.
    name="self-forcing", row="self-forcing", fills=("context-clean", "self-forcing"),
    folder=PurePosixPath("study/self-forcing"), order="block_first", context="clean",
)  # fmt: skip
NO_FKL = _other("no-fkl")
STUDY_MODELS: tuple[StudyModel, ...] = (
    HIAR,
    SELF_FORCING,
    NO_FKL,
    _other("context-input", context="input"),
    _other("fkl-causal-1"),
    _other("fkl-bidirectional-2"),
    _other("fkl-bidirectional-4"),
)
"""The first is the default tiny model. Order matters: a study cut short has the main contrasts.

Table 3's "w/o re-training" is no model: `self-forcing` sampled step by step.
"""


def study_model(name: str) -> StudyModel:
    """The model of that name."""
    return next(model for model in STUDY_MODELS if model.name == name)
