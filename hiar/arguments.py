"""Arguments that the command lines of hiar and of baselines share."""

from __future__ import annotations

import argparse
from pathlib import Path

from hiar.errors import UsageError
from hiar.model.geometry import SPATIAL_STRIDE


def size_px(text: str) -> tuple[int, int]:
    """HxW as (height, width): whole latent pixels."""
    height, separator, width = text.partition("x")
    if not separator or not height.isdigit() or not width.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write HxW, such as 480x832")
    found = int(height), int(width)
    if any(side % SPATIAL_STRIDE or not side for side in found):
        raise argparse.ArgumentTypeError(f"{text}: both must be multiples of {SPATIAL_STRIDE}")
    return found


def make_out_folder(out: Path) -> None:
    """Make the folder of `--out`, before a model is loaded.

    Raises:
        UsageError: The folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be made: {error.strerror}; name a folder") from None
