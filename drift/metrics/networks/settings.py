"""How values are computed on this machine: device, precision, batch, weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from drift.errors import UsageError

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
MAX_BATCH = {"cpu": 8, "cuda": 32}
"""Most frames held at once; fewer are held of frames of more than `BATCH_FRAME_PX` pixels."""
MIN_BATCH = {"cpu": 2, "cuda": 1}
"""Least number of frames held at once, whatever their size; each core of a CPU works on one."""
BATCH_FRAME_PX = 480 * 832


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """What a metric needs to know about this machine.

    Args:
        device: `cpu`, `cuda` or `cuda:<index>`.
        dtype: Precision inside the networks. `auto` is bfloat16 if the device has matrix units for
            it and the metric tolerates it, else float32. Results are always float64.
        batch: Number of frames held at once; None derives it from the frame size. A GPU runs them
            through a network together.
        weights_dir: Folder of the weights; None means the default (`drift.metrics.weights.local`).
        random_weights: Use seeded random weights instead of the published ones; for tests and
            timings only.
    """

    device: str = "cpu"
    dtype: Precision = "auto"
    batch: int | None = None
    weights_dir: Path | None = None
    random_weights: bool = False

    def __post_init__(self) -> None:
        """Rejects values that work nowhere; whether the device exists is checked when it is used.

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
        """`cpu` or `cuda`; values may differ in their last digits between the two."""
        return self.device.partition(":")[0]

    def frames_per_batch(self, height: int, width: int) -> int:
        """Frames to hold at once, at least one.

        Args:
            height, width: Size of a frame in pixels.
        """
        least, most = MIN_BATCH[self.device_kind], MAX_BATCH[self.device_kind]
        fitting = most * BATCH_FRAME_PX // max(BATCH_FRAME_PX, height * width)
        return self.batch or max(least, fitting)
