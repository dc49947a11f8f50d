"""Where the blocks of a video end, as the file beside it tells."""

from collections.abc import Mapping
from typing import Any

from drift.seams.periodic import TEMPORAL_STRIDE


def sidecar_blocks(told: Mapping[str, Any]) -> tuple[int, int] | None:
    """Frames of the first block and of each later one; None where the sidecar does not tell.

    `hiar sample` writes `config.frames_per_block`, in latent frames. A video that continues given
    frames has a first block of another length, which its sidecar does not tell.

    Args:
        told: Content of the sidecar; empty if there is none.
    """
    config = told.get("config")
    size = config.get("frames_per_block") if isinstance(config, dict) else None
    if told.get("beginning") or not isinstance(size, int) or size < 1:
        return None
    block = TEMPORAL_STRIDE * size
    return block - TEMPORAL_STRIDE + 1, block
