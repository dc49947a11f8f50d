"""Where the blocks of a video end, as the file beside it tells."""

from pathlib import Path

from drift.seams.periodic import TEMPORAL_STRIDE
from drift.video.kinds import sidecar_of
from drift.video.sidecars import read_sidecar


def sidecar_blocks(video: Path) -> tuple[int, int] | None:
    """Frames of the first block and of each later one; None where the sidecar does not tell.

    `hiar sample` writes `config.frames_per_block`, in latent frames. A video that continues given
    frames has a first block of another length, which its sidecar does not tell.
    """
    told = read_sidecar(sidecar_of(video)).data
    config = told.get("config")
    size = config.get("frames_per_block") if isinstance(config, dict) else None
    if told.get("beginning") or not isinstance(size, int) or size < 1:
        return None
    block = TEMPORAL_STRIDE * size
    return block - TEMPORAL_STRIDE + 1, block
