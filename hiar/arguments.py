"""Arguments that the command lines of hiar and of baselines share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hiar.model.geometry import SPATIAL_STRIDE

if TYPE_CHECKING:
    pass


def size_px(text: str) -> tuple[int, int]:
    """HxW as (height, width): whole latent pixels."""
    height, separator, width = text.partition("x")
    if not separator or not height.isdigit() or not width.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write HxW, such as 480x832")
    found = int(height), int(width)
    if any(side % SPATIAL_STRIDE or not side for side in found):
        raise argparse.ArgumentTypeError(f"{text}: both must be multiples of {SPATIAL_STRIDE}")
    return found
