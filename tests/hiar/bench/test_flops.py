"""Counted operations against PyTorch's own counter, and calls against closed forms."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hiar.bench.flops import call_flops, video_flops
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sampler import sample_latents
from hiar.sampling.schedule import context_calls

FRAME_TOKENS = 6


def time_flops(model: CausalWan) -> int:
    """The timestep's three linear layers on one row, which `call_flops` leaves out."""
    config = model.config
    return 2 * config.dim * (config.freq_dim + config.dim + 6 * config.dim)


def count_block(model: CausalWan, earlier_frames: int, **options: Any) -> int:
    """Operations of one call on 3 frames behind `earlier_frames`, with one timestep."""
    cache = KVCache(
        model.config, batch_size=1, frame_tokens=FRAME_TOKENS, capacity=earlier_frames + 3
    )
    text = model.encode_text(torch.zeros(1, 1, model.config.text_dim))
    t = torch.tensor([500.0])
    for first in range(0, earlier_frames, 3):
        model.forward_cached(torch.zeros(1, 3, 4, 4, 6), t, text, [CacheSlot(cache, first)])
    # The counter knows matrix products; the maths backend writes attention as two of them.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        slots = [CacheSlot(cache, earlier_frames)]
        model.forward_cached(torch.zeros(1, 3, 4, 4, 6), t, text, slots, **options)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("earlier_frames", [0, 3, 9])
def test_a_call_equals_the_counter(small_model: CausalWan, earlier_frames: int) -> None:
    tokens, visible = 3 * FRAME_TOKENS, (earlier_frames + 3) * FRAME_TOKENS
    expected = call_flops(small_model.config, tokens, visible)
    assert count_block(small_model, earlier_frames) == expected + time_flops(small_model)


def test_a_context_call_costs_no_more_than_is_counted(small_model: CausalWan) -> None:
    whole, context = count_block(small_model, 3), count_block(small_model, 3, num_context=1)
    # One layer of two, without its own keys and values, is skipped; so is the head.
    assert whole / 2 < context < whole


@pytest.mark.parametrize(
    ("mode", "calls"),
    [
        ({"order": "block_first", "context": "clean"}, lambda n, s: n * (s + 1) - 1),
        ({"order": "step_first"}, lambda n, s: 2 * s * n - s),
        ({"order": "diagonal"}, lambda n, s: 2 * s * n - s),
        ({"context": "clean"}, lambda n, s: 2 * s * n - s),
        ({"context": "input"}, lambda n, s: s * n),
        ({"order": "diagonal", "wave_batch": True}, lambda n, s: 2 * s * n - s),
        # One stage of two steps, then stages of one: s - 1 context passes a block.
        ({"order": "hybrid", "block_first_steps": 2}, lambda n, s: s * n + (s - 1) * (n - 1)),
        # Two lead blocks with one context pass each, the rest as step-first.
        ({"order": "hybrid", "block_first_blocks": 2}, lambda n, s: s * n + 2 + s * (n - 3)),
    ],
)
@pytest.mark.parametrize("steps", [(1000, 750, 500, 250), (1000, 500)])
def test_calls_of_a_video(
    small_model: CausalWan,
    monkeypatch: pytest.MonkeyPatch,
    mode: dict[str, Any],
    calls: Callable[[int, int], int],
    steps: tuple[float, ...],
) -> None:
    blocks, made, flops = 5, 0, 0
    config = SamplerConfig(**mode, steps=steps, window=9)
    inner = small_model.forward_cached

    def forward_cached(x: Any, t: Any, text: Any, slots: Any, **options: Any) -> Any:
        nonlocal made, flops
        for slot in slots:
            made += 1
            visible = min(slot.first_frame + 3, 9) * FRAME_TOKENS
            flops += call_flops(small_model.config, 3 * FRAME_TOKENS, visible)
        return inner(x, t, text, slots, **options)

    monkeypatch.setattr(small_model, "forward_cached", forward_cached)
    noise = torch.zeros(1, 3 * blocks, 4, 4, 6)
    sample_latents(small_model, torch.zeros(1, 1, 8), noise, config)
    counted = sum(len(steps) + context_calls(config, block, blocks) for block in range(blocks))
    assert made == counted == calls(blocks, len(steps))
    assert flops == video_flops(small_model.config, config, blocks, FRAME_TOKENS)
