"""Output of a run for people: a log of JSON lines, TensorBoard, W&B, samples, dynamic degrees.

DIR/log.jsonl                         a line a step: metrics, seconds, peak memory
DIR/dynamics.jsonl                    a line a sampled step: the data of Fig. 4
DIR/samples/step-00000100/*.mp4       with contact_sheet.png
DIR/tensorboard/                      the same numbers and pictures
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.errors import UsageError
from hiar.runtime.files import atomic_write_text

if TYPE_CHECKING:
    from hiar.runtime.ranks import Ranks
    from hiar.training.run.preview import Preview

LOG, DYNAMICS, SAMPLES, TENSORBOARD = "log.jsonl", "dynamics.jsonl", "samples", "tensorboard"


class RunMonitor:
    """Writes metrics and samples of a run; only the first process writes.

    Args:
        out: Folder of the run.
        ranks: This process among its peers.
        preview: Function that makes samples; all processes take part. None makes none.
        tensorboard: Write events, if tensorboard is installed.
        wandb: W&B project to log to; "" is none.
        settings: Settings of the run, for W&B.
    """

    def __init__(
        self,
        out: Path,
        ranks: Ranks,
        preview: Callable[[int], Preview] | None,
        *,
        tensorboard: bool,
        wandb: str,
        settings: Mapping[str, Any],
    ) -> None:
        self._out, self._ranks, self._preview = out, ranks, preview
        self._tensorboard = tensorboard and ranks.is_first
        self._wandb = _start_wandb(wandb, settings) if wandb and ranks.is_first else None
        self._writer: Any = None

    def close(self) -> None:
        """Close the writers; W&B then knows that the run is over."""
        if self._writer is not None:
            self._writer.close()
        if self._wandb is not None:
            self._wandb.finish()

    def rewind(self, step: int) -> None:
        """Drop the records of steps from `step` on, which are run again."""
        if not self._ranks.is_first:
            return
        for name, last in ((LOG, step - 1), (DYNAMICS, step or -1)):
            path = self._out / name
            if path.exists():
                kept = [line for line in read_lines(path) if line["step"] <= last]
                text = "".join(json.dumps(line) + "\n" for line in kept)
                atomic_write_text(path, text)
        if self._tensorboard:
            self._writer = _tensorboard_writer(self._out / TENSORBOARD, purge_step=step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a line to the log."""
        if not self._ranks.is_first:
            return
        append_line(self._out / LOG, {"step": step, **metrics})
        if self._writer is not None:
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()
        if self._wandb is not None:
            self._wandb.log(dict(metrics), step=step)

    def sample(self, step: int) -> None:
        """Write videos, their contact sheet and dynamic degrees after `step` training steps."""
        if self._preview is None:
            return
        preview = self._preview(step)
        if not self._ranks.is_first:
            return
        preview.write(self._out / SAMPLES / f"step-{step:08d}")
        degrees = preview.dynamic_degrees()
        append_line(self._out / DYNAMICS, {"step": step, **degrees})
        if self._writer is not None:
            for name in ("bidirectional", "causal"):
                self._writer.add_scalar(f"dynamic_degree/{name}", degrees[name], step)
            self._writer.add_image("samples", preview.sheet(), step, dataformats="HWC")
            self._writer.flush()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON-lines file; a last line that was cut by a kill is passed over."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add one record to a JSON-lines file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(dict(record)) + "\n")


def _tensorboard_writer(folder: Path, purge_step: int) -> Any:
    """A writer of events, or None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=purge_step or None)


def _start_wandb(project: str, settings: Mapping[str, Any]) -> Any:
    try:
        wandb: Any = importlib.import_module("wandb")
    except ImportError:
        raise UsageError(
            f"run.wandb is {project!r} but wandb is not installed: pip install wandb, or leave it "
            "out"
        ) from None
    return wandb.init(project=project, config=dict(settings), resume="allow")
