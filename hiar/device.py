"""Which device a run uses."""

from __future__ import annotations

import torch

from hiar.errors import UsageError


def check_device(name: str) -> None:
    """Raise in one line if there is no such device here.

    Raises:
        UsageError: For a name torch does not know, or a GPU that is not there.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"device {name!r} is unknown: use cpu, cuda or cuda:N") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UsageError(f"device {name!r} is not here: torch sees {count} GPUs; use cpu")
    elif device.type != "cpu":
        raise UsageError(f"device {name!r} is not supported: use cpu, cuda or cuda:N")
