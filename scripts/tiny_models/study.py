"""The tiny-world study as runs of the `hiar` command: which there are, their order, which are done.

    WORK/trajectories          trajectories of the teacher
    WORK/ode-init              the student whose weights the rows begin with
    WORK/teacher-forced        the causal model that Causal Forcing begins with
    WORK/<model>-s<seed>       one distillation; log.jsonl, dynamics.jsonl, samples

Each run is a process of its own, so that two fit side by side on two cores and one that is killed
goes on from its checkpoint. A run is done when its record holds the settings it would be run with
now, hashes of what goes in included.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.cli.train import RECORD
from hiar.errors import UsageError
from hiar.tiny.study import SEEDS, STUDY_MODELS, StudyModel

if TYPE_CHECKING:
    from hiar.training.run.settings import TrainConfig

PRESET, ODE_PRESET, PRETRAIN_PRESET = "tiny-study", "tiny-ode-init", "tiny-pretrain"
TRAJECTORIES, ODE_INIT, TEACHER_FORCED = "trajectories", "ode-init", "teacher-forced"
START_WEIGHTS = {ODE_INIT: "student.safetensors", TEACHER_FORCED: "model.safetensors"}
"""Weights that a run leaves for the distillations that begin with it."""
TEACHER_FORCING = ("pretrain.attention=teacher_forcing", "steps=1500", "num_clips=384")
"""What the teacher-forced run changes in preset `tiny-pretrain`: it has the budget of the mechanism
study's model."""
SAMPLES_OF_FIG_4 = "run.sample_every=120"
"""Eleven checkpoints at which motion is measured, the first before training."""
EMA_WEIGHTS = "student_ema.safetensors"


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Settings of a whole study.

    Attributes:
        work: Folder of the runs.
        teacher: Weights of the teacher, as `hiar train` names them.
        models: Models of `STUDY_MODELS` to train.
        seeds: Seeds of the distillations.
        base_seed: Seed of what all runs share: trajectories and ODE regression.
        num_prompts: Number of trajectories, one a prompt.
        ode_steps: Training steps of the runs that students begin with; None takes their own.
        steps: Training steps of every distillation; None takes the preset's.
        changes: `key=value` changes of every distillation, as for `hiar train --set`.
        common: `key=value` changes of all runs that train.
        device: Device of every run, as for `hiar train --device`.
        latent_frames: Latent frames of the trajectories, and of the videos of runs that all share;
            those of the distillations are the preset's.
    """

    work: Path
    teacher: str = "tiny/teacher"
    models: tuple[StudyModel, ...] = STUDY_MODELS
    seeds: tuple[int, ...] = SEEDS
    base_seed: int = 0
    num_prompts: int = 192
    ode_steps: int | None = None
    steps: int | None = None
    changes: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    device: str = "cpu"
    latent_frames: int = 21

    def __post_init__(self) -> None:
        if not self.models or not self.seeds:
            raise UsageError("a study needs at least one model and one seed")
        for name in ("num_prompts", "ode_steps", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"study {name} {value} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """One process of the study.

    Attributes:
        name: Name of the run and of its folder in the work folder.
        argv: Arguments of `hiar`.
        out: Folder of the run.
        needs: Names of the runs whose results it reads.
        config: Settings of a training run; None for the trajectories.
        model, seed: Model and seed of a distillation; None and 0 for the runs that all share.
    """

    name: str
    argv: tuple[str, ...]
    out: Path
    needs: tuple[str, ...] = ()
    config: TrainConfig | None = field(default=None, repr=False)
    model: StudyModel | None = None
    seed: int = 0

    @property
    def steps(self) -> int:
        """Training steps of the run; 0 for the trajectories."""
        return self.config.steps if self.config else 0


def study_runs(study: StudyConfig) -> tuple[StudyRun, ...]:
    """Every run of a study; each comes after the runs that it needs."""
    shared = [_trajectories(study), _ode_init(study)]
    if any(model.begins_as == TEACHER_FORCED for model in study.models):
        shared.append(_teacher_forced(study))
    return (
        *shared,
        *(_distillation(study, model, seed) for seed in study.seeds for model in study.models),
    )


def check_averages(runs: Sequence[StudyRun]) -> None:
    """Check that every student will have an EMA of its weights, which is what ships.

    Raises:
        UsageError: If some run ends before its EMA begins.
    """
    for run in runs:
        config = run.config.stage_config if run.config and run.model else None
        if not config:
            continue
        last = (run.steps - 1) // config.generator_every * config.generator_every
        if not config.ema_decay or config.ema_start > last:
            raise UsageError(
                f"{run.name}: {run.steps} steps end before the average begins (distill.ema_start "
                f"{config.ema_start}, ema_decay {config.ema_decay:g}): train longer, or begin it "
                "earlier"
            )


def is_done(run: StudyRun) -> bool:
    """Whether a training run's record exists and holds these settings and inputs.

    The trajectories are never done: their own command checks settings and shards, and makes those
    that are missing.
    """
    import torch

    from hiar.runtime.ranks import Ranks
    from hiar.training.run.setup import Builder

    record = run.out / RECORD
    if run.config is None or not record.exists():
        return False
    made_with: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))["settings"]
    try:
        wanted = Builder(run.config, run.out, Ranks(), torch.device("cpu")).facts()
    except UsageError:  # what it was made from is gone: it is made again
        return False
    return made_with == wanted


def pending(runs: Sequence[StudyRun]) -> list[StudyRun]:
    """The runs that are not done."""
    return [run for run in runs if not is_done(run)]


def _trajectories(study: StudyConfig) -> StudyRun:
    out = study.work / TRAJECTORIES
    # 24 steps at the student's shift: points 0, 6, 12, 18 and the last are the student's levels.
    argv = (
        "trajectories", "--draw-prompts", str(study.num_prompts), "--weights", study.teacher,
        "--preset", "paper", "--steps", "24", "--saved", "0,6,12,18,-1",
        "--latent-frames", str(study.latent_frames), "--seed", str(study.base_seed),
        "--device", study.device, "--out", str(out),
    )  # fmt: skip
    return StudyRun(name=TRAJECTORIES, argv=argv, out=out)


def _ode_init(study: StudyConfig) -> StudyRun:
    own = (f"trajectories={study.work / TRAJECTORIES}",)
    return _start(study, ODE_INIT, ODE_PRESET, own, (TRAJECTORIES,))


def _teacher_forced(study: StudyConfig) -> StudyRun:
    return _start(study, TEACHER_FORCED, PRETRAIN_PRESET, TEACHER_FORCING, ())


def _start(
    study: StudyConfig, name: str, preset: str, own: Sequence[str], needs: tuple[str, ...]
) -> StudyRun:
    """A training from the teacher that distillations begin with; `own` are its own changes."""
    changes = [
        f"init={study.teacher}", f"seed={study.base_seed}", f"latent_frames={study.latent_frames}",
        *own,
    ]  # fmt: skip
    if study.ode_steps is not None:
        changes.append(f"steps={study.ode_steps}")
    return _training(study, name, preset, changes, needs)


def _distillation(study: StudyConfig, model: StudyModel, seed: int) -> StudyRun:
    start = model.begins_as
    changes = [
        f"init={study.work / start / START_WEIGHTS[start]}", f"teacher={study.teacher}",
        f"trajectories={study.work / TRAJECTORIES}", f"distill.row={model.row}", f"seed={seed}",
    ]  # fmt: skip
    if model.motion_is_followed:
        changes.append(SAMPLES_OF_FIG_4)
    if study.steps is not None:
        changes.append(f"steps={study.steps}")
    changes += study.changes
    name = f"{model.name}-s{seed}"
    return _training(study, name, PRESET, changes, (TRAJECTORIES, start), model, seed)


def _training(
    study: StudyConfig,
    name: str,
    preset: str,
    changes: Sequence[str],
    needs: tuple[str, ...],
    model: StudyModel | None = None,
    seed: int = 0,
) -> StudyRun:
    from hiar.training.run.settings import load_train_config

    settings = ["run.tensorboard=false", *changes, *study.common]
    out = study.work / name
    argv = ["train", "--config", preset, "--device", study.device, "--out", str(out)]
    for setting in settings:
        argv += ["--set", setting]
    return StudyRun(
        name=name, argv=tuple(argv), out=out, needs=needs,
        config=load_train_config(preset, settings), model=model, seed=seed,
    )  # fmt: skip
