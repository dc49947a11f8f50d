"""Scaled dot-product attention over [B, tokens, heads, head_dim], and which keys a block may see.

Causality is between blocks, never inside one, so no mask is ever built: each block of queries
attends to a contiguous run of keys. That is exact, needs no memory for a mask, and lets every
backend use its fastest kernel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

AttentionFn = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(q [B, L, heads, head_dim], k and v [B, M, heads, head_dim]) -> [B, L, heads, head_dim]."""


def attend(q_BLNK: torch.Tensor, k_BMNK: torch.Tensor, v_BMNK: torch.Tensor) -> torch.Tensor:
    """Softmax attention of every query to every key.

    Args:
        q_BLNK: Queries [B, L, heads, head_dim].
        k_BMNK, v_BMNK: Keys and values [B, M, heads, head_dim].

    Returns:
        [B, L, heads, head_dim].
    """
    out = functional.scaled_dot_product_attention(
        q_BLNK.transpose(1, 2), k_BMNK.transpose(1, 2), v_BMNK.transpose(1, 2)
    )
    return out.transpose(1, 2)


def attend_block_causal(
    q_BLNK: torch.Tensor,
    k_BLNK: torch.Tensor,
    v_BLNK: torch.Tensor,
    *,
    block_tokens: int,
    window_tokens: int | None = None,
) -> torch.Tensor:
    """Each block sees itself and the blocks before it, at most `window_tokens` back from its end.

    Args:
        q_BLNK, k_BLNK, v_BLNK: [B, L, heads, head_dim] of the same L tokens.
        block_tokens: Tokens of one block; a shorter last block is allowed.
        window_tokens: Keys visible, counted back from the end of the query's block; None = all.

    Returns:
        [B, L, heads, head_dim].
    """
    num_tokens = q_BLNK.shape[1]
    outputs = []
    for start in range(0, num_tokens, block_tokens):
        end = min(start + block_tokens, num_tokens)
        first = 0 if window_tokens is None else max(0, end - window_tokens)
        outputs.append(attend(q_BLNK[:, start:end], k_BLNK[:, first:end], v_BLNK[:, first:end]))
    return torch.cat(outputs, dim=1)


def attend_teacher_forcing(
    q_BLNK: torch.Tensor, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor, *, block_tokens: int
) -> torch.Tensor:
    """Attention over [clean | noisy] halves of one video.

    A clean block sees clean blocks up to its own; a noisy block sees the clean blocks before it
    and itself.

    Args:
        q_BLNK, k_BLNK, v_BLNK: [B, 2 L, heads, head_dim], the clean half first.
        block_tokens: Tokens of one block.

    Returns:
        [B, 2 L, heads, head_dim].
    """
    num_tokens = q_BLNK.shape[1] // 2
    halves = [tensor.split(num_tokens, dim=1) for tensor in (q_BLNK, k_BLNK, v_BLNK)]
    (q_clean, q_noisy), (k_clean, k_noisy), (v_clean, v_noisy) = halves
    outputs = [attend_block_causal(q_clean, k_clean, v_clean, block_tokens=block_tokens)]
    for start in range(0, num_tokens, block_tokens):
        own = slice(start, min(start + block_tokens, num_tokens))
        keys = torch.cat((k_clean[:, :start], k_noisy[:, own]), dim=1)
        values = torch.cat((v_clean[:, :start], v_noisy[:, own]), dim=1)
        outputs.append(attend(q_noisy[:, own], keys, values))
    return torch.cat(outputs, dim=1)
