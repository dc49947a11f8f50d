"""How values are computed here: device, precision, batch, weights. No score depends on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from drift.errors import UsageError

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
MAX_BATCH = {"cpu": 8, "cuda": 32}
"""Frames of up to `BATCH_FRAME_PX` pixels that are held at once; of larger frames fewer."""
MIN_BATCH = {"cpu": 2, "cuda": 1}
"""At least so many of any size: the cores of a CPU share them out, one frame each at a time."""
BATCH_FRAME_PX = 480 * 832


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """What a metric needs to know about this machine.

    Args:
        device: `cpu`, `cuda` or `cuda:<index>`.
        dtype: Precision inside the networks; `auto` is bfloat16 where the device has matrix units
            for it and the metric's values allow it, else float32. Results are float64 always.
        batch: Frames that are held at once; None follows from the frame size. A GPU takes them
            through a network together.
        weights_dir: Folder of the weights; None is the default one (`drift.metrics.weights.local`).
        random_weights: Seeded random weights instead of published ones: only for tests and speed.
    """

    device: str = "cpu"
    dtype: Precision = "auto"
    batch: int | None = None
    weights_dir: Path | None = None
    random_weights: bool = False

    def __post_init__(self) -> None:
        """Rejects what cannot work anywhere; whether the device exists is seen on its use.

        Raises:
            UsageError: an unknown kind of device or precision, or an empty batch.
        """
        if self.device_kind not in MAX_BATCH:
            raise UsageError(f"device is {self.device!r}; give cpu, cuda or cuda:<index>")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise UsageError(f"dtype is {self.dtype!r}; give auto, float32 or bfloat16")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"batch is {self.batch}; it must be at least 1")

    @property
    def device_kind(self) -> str:
        """`cpu` or `cuda`: values may differ in their last digits between the two."""
        return self.device.partition(":")[0]

    def frames_per_batch(self, height: int, width: int) -> int:
        """Frames to hold at once, at least one.

        Args:
            height, width: Size of a frame in pixels.
        """
        least, most = MIN_BATCH[self.device_kind], MAX_BATCH[self.device_kind]
        fitting = most * BATCH_FRAME_PX // max(BATCH_FRAME_PX, height * width)
        return self.batch or max(least, fitting)
