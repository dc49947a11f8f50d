"""Rotary position embedding over (frame, row, column), computed for any frame index.

Source: Wan2.1, wan/modules/model.py, rope_params and rope_apply. The release tabulates 1,024
positions; here the angles are computed where they are needed, so there is no last frame.
"""

from __future__ import annotations

from functools import lru_cache

import torch

BASE = 10000.0


def split_head(head_dim: int) -> tuple[int, int, int]:
    """Complex pairs of a head that turn with the frame, the row and the column."""
    pairs = head_dim // 2
    third = pairs // 3
    return pairs - 2 * third, third, third


def angles(positions: torch.Tensor, pairs: int) -> torch.Tensor:
    """Angles position x BASE^(-i / pairs), float64 [positions, pairs]."""
    exponents = torch.arange(pairs, dtype=torch.float64, device=positions.device) / max(pairs, 1)
    return torch.outer(positions.double(), BASE**-exponents)


@lru_cache(maxsize=4)  # the passes over the few blocks under way follow one another
@torch.inference_mode(False)  # a cached tensor must serve training too
def rotary_table(
    first_frame: int,
    num_frames: int,
    rows: int,
    columns: int,
    head_dim: int,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Cosine and sine for the tokens of consecutive latent frames.

    Args:
        first_frame: Index of the first latent frame in the whole video; no upper bound.
        num_frames: Latent frames.
        rows, columns: Tokens of one latent frame.
        head_dim: Width of a head, even.
        device: Where the tables go.

    Returns:
        float32 [num_frames x rows x columns, 1, head_dim / 2, (cos, sin)]; angles are float64
        until here, since a frame index in the thousands has no fraction to spare in float32. The
        tensor is shared between callers: do not write to it.
    """
    frame_pairs, row_pairs, column_pairs = split_head(head_dim)
    frames = torch.arange(first_frame, first_frame + num_frames, device=device)
    by_frame = angles(frames, frame_pairs)[:, None, None].expand(-1, rows, columns, -1)
    by_row = angles(torch.arange(rows, device=device), row_pairs)[None, :, None]
    by_column = angles(torch.arange(columns, device=device), column_pairs)[None, None]
    angle = torch.cat(
        [
            by_frame,
            by_row.expand(num_frames, -1, columns, -1),
            by_column.expand(num_frames, rows, -1, -1),
        ],
        dim=-1,
    ).flatten(0, 2)
    return torch.stack((angle.cos(), angle.sin()), dim=-1).float().unsqueeze(1)


@lru_cache(maxsize=8)  # all layers of a pass turn the same frames
def frame_turn(frames: int, head_dim: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Cosine and sine that move keys by a number of latent frames, back if it is negative.

    Args:
        frames: Latent frames to move by.
        head_dim: Width of a head, even.
        device: Where the table goes.

    Returns:
        float32 [head_dim / 2, (cos, sin)], for all tokens alike. It is shared: do not write to it.
    """
    frame_pairs, row_pairs, column_pairs = split_head(head_dim)
    moved = angles(torch.tensor([frames], device=device), frame_pairs)[0]
    angle = torch.cat((moved, moved.new_zeros(row_pairs + column_pairs)))
    return torch.stack((angle.cos(), angle.sin()), dim=-1).float()


def rotate(x_BLNK: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Turn adjacent channel pairs (2 i, 2 i + 1) by the table's angles, in float32.

    Args:
        x_BLNK: Queries or keys [B, tokens, heads, head_dim].
        table: Output of `rotary_table` for the same tokens, or of `frame_turn`; that one turns
            every token alike, so that tokens and heads may lie in any order.

    Returns:
        The shape and dtype of x_BLNK.
    """
    pairs = x_BLNK.float().unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():  # the compiler fuses real arithmetic, not complex
        (real, imaginary), (cos, sin) = pairs.unbind(-1), table.unbind(-1)
        turned = torch.stack((real * cos - imaginary * sin, real * sin + imaginary * cos), dim=-1)
    else:  # one kernel instead of seven
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(table))
    return turned.flatten(-2).to(x_BLNK.dtype)
