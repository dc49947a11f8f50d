"""Every size that follows from another: frames, latent frames, blocks, tokens.

A causal video VAE maps the first frame to one latent frame and every further group of four
frames to one more; it shrinks height and width by eight (Wan2.1, vae.py, temporal strides 1, 2, 2
and spatial strides 2, 2, 2).
"""

from __future__ import annotations

from hiar.errors import UsageError

TEMPORAL_STRIDE = 4
SPATIAL_STRIDE = 8


def num_frames(num_latent_frames: int) -> int:
    """Decoded frames of that many latent frames: 4 (n - 1) + 1."""
    if num_latent_frames < 1:
        raise UsageError(f"{num_latent_frames} latent frames: there must be at least 1")
    return TEMPORAL_STRIDE * (num_latent_frames - 1) + 1


def num_latent_frames(num_frames: int, frames_per_block: int = 1, *, initial: int = 0) -> int:
    """Fewest latent frames, in whole blocks, that decode to at least that many frames.

    Args:
        num_frames: Decoded frames of the whole video.
        frames_per_block: Latent frames of a block.
        initial: Latent frames given at the start; blocks follow them, at least one.
    """
    if num_frames < 1:
        raise UsageError(f"{num_frames} frames: there must be at least 1")
    latent_frames = -(-(num_frames - 1) // TEMPORAL_STRIDE) + 1
    blocks = max(1, -(-(latent_frames - initial) // frames_per_block))
    return initial + blocks * frames_per_block


def num_blocks(num_latent_frames: int, frames_per_block: int, *, initial: int = 0) -> int:
    """Blocks in a latent video, after the `initial` latent frames; the last one must be whole."""
    blocks, rest = divmod(num_latent_frames - initial, frames_per_block)
    if rest or blocks < 1:
        legal = [initial + n * frames_per_block for n in nearest_counts(blocks)]
        after = f" after the {initial} given" if initial else ""
        raise UsageError(
            f"{num_latent_frames} latent frames are not a whole number of blocks of "
            f"{frames_per_block}{after}: take {' or '.join(map(str, legal))}"
        )
    return blocks


def check_num_frames(num_frames: int, frames_per_block: int, *, initial: int = 0) -> int:
    """Latent frames of a video of exactly that many frames.

    Raises:
        UsageError: If they do not fill whole blocks; the nearest lengths that do are named.
    """
    latent_frames, rest = divmod(num_frames - 1, TEMPORAL_STRIDE)
    blocks, rest_frames = divmod(latent_frames + 1 - initial, frames_per_block)
    if rest or rest_frames or blocks < 1:
        counts = [initial + n * frames_per_block for n in nearest_counts(blocks)]
        legal = [str(TEMPORAL_STRIDE * (n - 1) + 1) for n in counts]
        raise UsageError(
            f"{num_frames} frames do not fill whole blocks of {frames_per_block} latent frames: "
            f"take {' or '.join(legal)}"
        )
    return latent_frames + 1


def nearest_counts(blocks: int) -> list[int]:
    """The legal numbers of blocks beside a video that has `blocks` whole ones and a rest."""
    return [blocks, blocks + 1] if blocks > 0 else [1]


def decoded_frames_per_block(frames_per_block: int, *, first: bool = False) -> int:
    """Decoded frames that one block adds: 12 for 3 latent frames, or 9 for the first block."""
    return num_frames(frames_per_block) if first else TEMPORAL_STRIDE * frames_per_block


def token_grid(height: int, width: int, patch_size: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns of tokens in one latent frame of `height` x `width` latent pixels."""
    rows, row_rest = divmod(height, patch_size[1])
    columns, column_rest = divmod(width, patch_size[2])
    if row_rest or column_rest:
        raise UsageError(
            f"a latent frame of {height} x {width} does not divide into patches of "
            f"{patch_size[1]} x {patch_size[2]}"
        )
    return rows, columns
