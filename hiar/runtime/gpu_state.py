"""What the driver says of a GPU: its version, the clocks of this moment, the power limit."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import dataclass

import torch

DRIVER = "driver_version"
NUMBERS = {
    "sm_mhz": "clocks.sm",
    "max_sm_mhz": "clocks.max.sm",
    "power_limit_w": "power.limit",
}
"""What a record calls a value, and what nvidia-smi does."""


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """A GPU's driver and clocks.

    Attributes:
        driver: Version of the driver.
        clocks: Clock of the multiprocessors at this moment, their highest one (MHz) and the power
            limit (W), by their names in `NUMBERS`; those that the driver does not tell are missing.
    """

    driver: str
    clocks: dict[str, float]


def gpu_state(device: torch.device) -> GpuState | None:
    """The state of a GPU; None on a CPU, or where nvidia-smi does not answer."""
    if device.type != "cuda":
        return None
    command = [
        "nvidia-smi", f"--id=GPU-{torch.cuda.get_device_properties(device).uuid}",
        f"--query-gpu={','.join([DRIVER, *NUMBERS.values()])}", "--format=csv,noheader,nounits",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_state(done.stdout)


def parse_state(line: str) -> GpuState:
    """The state in a line of nvidia-smi, whose missing values read `[N/A]`."""
    driver, *values = (part.strip() for part in line.strip().split(","))
    clocks = {}
    for name, value in zip(NUMBERS, values, strict=True):
        with suppress(ValueError):
            clocks[name] = float(value)
    return GpuState(driver=driver, clocks=clocks)
