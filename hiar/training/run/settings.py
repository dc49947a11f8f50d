"""Settings of a training run: one frozen tree, read from a preset or a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks
from hiar.training.flow_matching import FlowMatchingConfig
from hiar.training.run.config_files import Table, build, read_config
from hiar.training.stages.ode_init import OdeInitConfig

StageName = Literal["pretrain", "ode-init", "distill"]
STAGES: tuple[StageName, ...] = ("pretrain", "ode-init", "distill")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """How a run is carried out; none of it changes the weights, so a resumed run may differ.

    Attributes:
        checkpoint_every: Steps between checkpoints; the last step always has one.
        keep_checkpoints: Newest ones kept; 0 keeps all.
        sample_every: Steps between samples (videos, contact sheet, dynamic degree); 0 is never.
        sample_prompts: Prompts that are sampled.
        sample_latent_frames: Length of the samples.
        log_every: Steps between lines of the log.
        tensorboard: Write events when tensorboard is installed.
        wandb: Project to log to; "" is none.
        memory_check: Refuse to begin when the dry run's estimate exceeds what the machine has.
    """

    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    sample_every: int = 0
    sample_prompts: int = 4
    sample_latent_frames: int = 21
    log_every: int = 1
    tensorboard: bool = True
    wandb: str = ""
    memory_check: bool = True

    def __post_init__(self) -> None:
        for name in ("checkpoint_every", "sample_prompts", "sample_latent_frames", "log_every"):
            _at_least(f"run.{name}", getattr(self, name), 1)
        for name in ("keep_checkpoints", "sample_every"):
            _at_least(f"run.{name}", getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        stage: pretrain, ode-init or distill.
        steps: Training steps.
        seed: Seed of every draw.
        size: Size of the trained network: tiny, wan-1.3b or wan-14b.
        init: Weights it begins with: tiny/teacher, wan2.1-1.3b, a file, or random.
        teacher, teacher_size: Weights and size of the real score (distill).
        critic: Weights that the fake score begins with; "" takes the teacher's, or `init` if the
            teacher has another size (distill).
        prompts: File of prompts, one a line; "" takes those of the trajectories (distill).
        trajectories: Folder made by `hiar trajectories` (ode-init, and distill's forward-KL).
        clips: File of encoded clips; "" encodes scenes of the tiny world (pretrain).
        num_clips: Number of scenes to encode (pretrain).
        latent_frames: Length of the videos that it trains on.
        dtype: Data type of the computation; the weights and the optimiser stay float32.
        checkpoint_activations: Keep only each layer's input, and compute the rest again in the
            backward pass.
        stage_config: Settings that only this stage has.
        run: How the run is carried out.
    """

    stage: StageName
    steps: int
    seed: int = 0
    size: str = "tiny"
    init: str
    teacher: str = ""
    teacher_size: str = ""
    critic: str = ""
    prompts: str = ""
    trajectories: str = ""
    clips: str = ""
    num_clips: int = 256
    latent_frames: int = 21
    dtype: Literal["float32", "bfloat16"] = "float32"
    checkpoint_activations: bool = False
    stage_config: Any = None
    run: Operation = field(default_factory=Operation)

    def __post_init__(self) -> None:
        _at_least("steps", self.steps, 1)
        _at_least("num_clips", self.num_clips, 1)
        num_blocks(self.latent_frames, self.frames_per_block)

    @property
    def batch_size(self) -> int:
        """Samples of a step, all processes together."""
        return int(self.stage_config.batch_size)

    @property
    def frames_per_block(self) -> int:
        """Latent frames of a block."""
        config = self.stage_config
        return int(getattr(config, "sampler", config).frames_per_block)

    def facts(self) -> dict[str, Any]:
        """The settings that decide the weights, as JSON: all but `run`."""
        facts = asdict(self)
        facts.pop("run")
        facts[_table_name(self.stage)] = facts.pop("stage_config")
        found: dict[str, Any] = json.loads(json.dumps(facts))
        return found


def load_train_config(
    name_or_path: str, changes: Sequence[str] = (), *, stage: str | None = None
) -> TrainConfig:
    """Read a run's settings.

    Args:
        name_or_path: A preset or a TOML file.
        changes: `key=value` changes.
        stage: Stage that the command line names; it must agree with the file.

    Raises:
        UsageError: For anything unknown, missing or of a wrong type, by name.
    """
    table = read_config(name_or_path, changes)
    found = table.setdefault("stage", stage)
    if found not in STAGES:
        raise UsageError(f"stage {found!r} is unknown: use one of {', '.join(STAGES)}")
    if stage is not None and found != stage:
        raise UsageError(f"{name_or_path} is for stage {found}: leave --stage {stage} out")
    for other in STAGES:
        if other != found and _table_name(other) in table:
            raise UsageError(f"config table [{_table_name(other)}] has no meaning in stage {found}")
    own: Table = dict(table.pop(_table_name(found), {}))
    steps = table.get("steps")
    if "stage_config" in table:
        raise UsageError(f"config key stage_config is unknown: use [{_table_name(found)}]")
    if type(steps) is not int:
        raise UsageError(f"config key steps is {steps!r}: give a whole number of training steps")
    config = _stage_config(found, own, steps)
    return build(TrainConfig, table | {"stage_config": config})


def _stage_config(stage: StageName, table: Table, steps: Any) -> Any:
    name = _table_name(stage)
    if stage == "distill":
        from hiar.training.run.distill_settings import distill_config  # noqa: PLC0415

        return distill_config(table, f"{name}.")
    if "steps" in table:
        raise UsageError(f"config key {name}.steps is unknown: steps stands at the top")
    kind = FlowMatchingConfig if stage == "pretrain" else OdeInitConfig
    return build(kind, table | {"steps": steps}, f"{name}.")


def _table_name(stage: str) -> str:
    return stage.replace("-", "_")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"{name} {value} must be at least {least}")
