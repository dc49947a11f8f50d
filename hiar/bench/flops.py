"""Floating-point operations and least bytes of model calls, counted from their shapes.

A multiply-add is two operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hiar.sampling.schedule import context_calls

if TYPE_CHECKING:
    from hiar.model.config import WanConfig
    from hiar.sampling.config import SamplerConfig


def call_flops(config: WanConfig, tokens: int, visible_tokens: int) -> int:
    """One call on `tokens` queries that see `visible_tokens` keys, own block included.

    Counts the linear layers (self q, k, v, o; cross q, o; feed-forward; patch and head), and both
    attentions. Text projections are left out: they are computed once a prompt.
    """
    per_token = 6 * config.dim**2 + 2 * config.dim * config.ffn_dim
    patch = config.patch_size[1] * config.patch_size[2]
    ends = config.dim * patch * (config.in_channels + config.out_channels)
    linear = 2 * tokens * (per_token * config.num_layers + ends)
    attention = 4 * tokens * (visible_tokens + config.text_len) * config.dim * config.num_layers
    return linear + attention


def video_flops(
    config: WanConfig, sampler: SamplerConfig, num_blocks: int, frame_tokens: int
) -> int:
    """All calls of one video: denoising and context, with the visible keys of each block.

    A context call skips most of its last layer; it is counted whole.
    """
    size = sampler.frames_per_block
    steps = len(sampler.steps)
    total = 0
    for block in range(num_blocks):
        visible = visible_frames(sampler, block)
        call = call_flops(config, size * frame_tokens, visible * frame_tokens)
        total += call * (steps + context_calls(sampler, block, num_blocks))
    return total


def least_bytes(
    config: WanConfig, sampler: SamplerConfig, num_blocks: int, frame_tokens: int, item_bytes: int
) -> int:
    """Bytes that all calls of a video must read: weights once a call, keys and values they see.

    What passes between the kernels is left out: a perfect kernel would keep it to itself.
    """
    weights = (6 * config.dim**2 + 2 * config.dim * config.ffn_dim) * config.num_layers
    total = 0
    for block in range(num_blocks):
        keys = visible_frames(sampler, block) * frame_tokens + config.text_len
        seen = 2 * keys * config.dim * config.num_layers
        calls = len(sampler.steps) + context_calls(sampler, block, num_blocks)
        total += calls * (weights + seen) * item_bytes
    return total


def visible_frames(sampler: SamplerConfig, block: int) -> int:
    """Latent frames that a block sees, its own included."""
    frames = (block + 1) * sampler.frames_per_block
    return frames if sampler.window is None else min(frames, sampler.window)
