"""Checkpoints of a run, sharded, and the weights it leaves.

    DIR/checkpoints/step-00000100/    torch.distributed.checkpoint: weights, optimisers, averages
    DIR/<product>.safetensors         at the end; `load_transformer` reads it
    DIR/<product>_ema.safetensors     at the end, the EMA weights

A folder gets its name when it is whole, so a run that is killed goes on from the last whole one;
it may go on with another number of processes.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor

from hiar.errors import UsageError
from hiar.training.stages.stage import EMA_KEY, Stage
from hiar.weights.tensor_files import write_tensors

if TYPE_CHECKING:
    from hiar.runtime.ranks import Ranks

FOLDER = "checkpoints"
EXTRA = "extra"
ZIP_WRITER = "inline_container.cc"
"""In what torch says when its zip writer fails (PyTorch, caffe2/serialize/inline_container.cc)."""


def save_checkpoint(out: Path, step: int, stage: Stage, ranks: Ranks, *, keep: int) -> None:
    """Write the state after `step` training steps, then remove the oldest checkpoints.

    Args:
        out: Folder of the run.
        step: Steps done.
        stage: Networks and optimisers to save.
        ranks: All processes take part.
        keep: Checkpoints kept; 0 keeps all.

    Raises:
        UsageError: If the disk does not take it.
    """
    target = _path(out, step)
    partial = target.with_suffix(".part")
    if ranks.is_first:
        for leftover in target.parent.glob("*.part"):
            shutil.rmtree(leftover)
        partial.mkdir(parents=True)
    ranks.wait()
    state = _state(stage) | {EXTRA: stage.extra_state()}
    try:
        with _one_process_is_fine():
            save(state, checkpoint_id=partial, no_dist=not distributed.is_initialized())
    except CheckpointException as error:  # no Exception, and it hides what the disk said
        reason = _reason_of_disk(error)
        if reason is None:
            raise
        raise UsageError(
            f"the checkpoint {target} cannot be written ({reason}): make room, then run the same "
            "command again to go on from the one before"
        ) from error
    if ranks.is_first:
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
        for old in _steps(out)[:-keep] if keep else []:
            shutil.rmtree(_path(out, old))
    ranks.wait()


def _reason_of_disk(error: CheckpointException) -> str | None:
    """What the disk said when a checkpoint was written; None if something else went wrong."""
    for failure, _ in error.failures.values():
        link: BaseException | None = failure
        while link is not None:
            if isinstance(link, OSError):
                return link.strerror
            link = link.__cause__ or link.__context__
        if ZIP_WRITER in str(failure):  # from another process, which sends no chain of errors
            return "a write failed"
    return None


def last_step(out: Path) -> int | None:
    """Steps done at the newest whole checkpoint; None if there is none."""
    steps = _steps(out)
    return steps[-1] if steps else None


def load_checkpoint(out: Path, step: int, stage: Stage) -> None:
    """Put a stage into the state that it had after `step` steps.

    Raises:
        UsageError: If the checkpoint is damaged or belongs to other networks.
    """
    path = _path(out, step)
    alone = not distributed.is_initialized()
    state = _state(stage)
    try:
        extra, paths = _extra_template(path, stage)
        with _one_process_is_fine():
            load(state, checkpoint_id=path, no_dist=alone)
            load(extra, checkpoint_id=path, no_dist=alone)
    except (OSError, RuntimeError, ValueError, KeyError, CheckpointException) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise UsageError(
            f"the checkpoint {path} is damaged or of other networks ({reason}): remove it to go on "
            "from the one before"
        ) from error
    for name, optimiser in stage.optimisers.items():
        model = stage.models[name]
        set_model_state_dict(model, state["models"][name])
        set_optimizer_state_dict(model, optimiser, state["optimisers"][name])
    # An empty mapping, such as an average before its first step, leaves no trace in a checkpoint.
    empty: dict[str, Any] = {name: {} for name, value in stage.extra_state().items() if value == {}}
    stage.load_extra_state(empty | _nested(extra, paths))


def save_weights(out: Path, stage: Stage, ranks: Ranks) -> list[Path]:
    """Write the product's weights, and their EMA if there is one, in float32.

    Returns:
        The files.
    """
    model = stage.models[stage.product]
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    sets: dict[str, Any] = {stage.product: get_model_state_dict(model, options=options)}
    averages = stage.extra_state().get(EMA_KEY)
    if averages:
        sets[f"{stage.product}_ema"] = {name: _whole(value) for name, value in averages.items()}
    paths = [out / f"{name}.safetensors" for name in sets]
    if ranks.is_first:
        for path, weights in zip(paths, sets.values(), strict=True):
            write_tensors(path, weights)
    ranks.wait()
    return paths


@contextmanager
def _one_process_is_fine() -> Iterator[None]:
    """Silence torch's warning that it runs in one process: `no_dist` says so already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _state(stage: Stage) -> dict[str, Any]:
    trained = stage.optimisers.items()
    return {
        "models": {name: get_model_state_dict(stage.models[name]) for name, _ in trained},
        "optimisers": {
            name: get_optimizer_state_dict(stage.models[name], optimiser)
            for name, optimiser in trained
        },
    }


def _extra_template(path: Path, stage: Stage) -> tuple[dict[str, Any], dict[str, tuple[Any, ...]]]:
    """Places for what `extra_state` left in a checkpoint, by flat name, and their nested names.

    Averages are cut over the processes as the product's weights are now, whatever they were.
    """
    metadata = FileSystemReader(path).read_metadata()
    parameters = dict(stage.models[stage.product].named_parameters())
    template: dict[str, Any] = {}
    paths = {
        flat: tuple(nested)
        for flat, nested in (metadata.planner_data or {}).items()
        if nested[0] == EXTRA
    }
    for flat, nested in paths.items():
        facts = metadata.state_dict_metadata[flat]
        if not isinstance(facts, TensorStorageMetadata):
            template[flat] = None
        elif nested[1] == EMA_KEY and nested[-1] in parameters:
            template[flat] = torch.zeros_like(parameters[nested[-1]], dtype=facts.properties.dtype)
        else:
            template[flat] = torch.empty(facts.size, dtype=facts.properties.dtype)
    return template, paths


def _nested(flat: Mapping[str, Any], paths: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, (_, *parents, last) in paths.items():
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = flat[name]
    return nested


def _whole(value: torch.Tensor) -> torch.Tensor:
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.cpu()


def _path(out: Path, step: int) -> Path:
    return out / FOLDER / f"step-{step:08d}"


def _steps(out: Path) -> list[int]:
    names = (path.name for path in (out / FOLDER).glob("step-????????"))
    return sorted(int(name.removeprefix("step-")) for name in names)
