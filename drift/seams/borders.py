"""Where the blocks of a video end, as the file beside it tells."""

import json
from pathlib import Path
from typing import Any

from drift.seams.periodic import TEMPORAL_STRIDE


def sidecar_blocks(video: Path) -> tuple[int, int] | None:
    """Frames of the first block and of each later one; None where the sidecar does not tell.

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
    return block - TEMPORAL_STRIDE + 1, block
