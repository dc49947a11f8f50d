"""Where the blocks of a video end: told by its sidecar, by the user, or estimated."""

import json
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.seams.periodic import TEMPORAL_STRIDE, Borders


def given_borders(first: int | None, block: int | None) -> Borders | None:
    """Borders from the command line; None where neither number was given.

    Raises:
        UsageError: If one number is missing or too small.
    """
    if first is None and block is None:
        return None
    if first is None or block is None:
        raise UsageError("--first and --block belong together, such as --first 9 --block 12")
    if first < 1 or block < 2:
        raise UsageError(
            f"--first {first} --block {block}: a first block has at least 1 frame, later ones 2"
        )
    return Borders(first=first, block=block, source="given")


def sidecar_borders(video: Path) -> Borders | None:
    """Borders that the JSON file beside a video tells; None where it does not.

    `hiar sample` writes `config.frames_per_block`, in latent frames. A video that continues given
    frames has a first block of another length, which its sidecar does not tell.
    """
    try:
        data: Any = json.loads(video.with_suffix(".json").read_text(encoding="utf-8"))
        size = data["config"]["frames_per_block"]
        if data.get("beginning") or not isinstance(size, int) or size < 1:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    block = TEMPORAL_STRIDE * size
    return Borders(first=block - TEMPORAL_STRIDE + 1, block=block, source="sidecar")
