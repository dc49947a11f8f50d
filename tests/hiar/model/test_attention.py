"""Attention by runs of keys against one dense boolean mask; cached against uncached."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from hiar.errors import UsageError
from hiar.model.attention import attend_block_causal, attend_teacher_forcing
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.model.transformer import CausalWan

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
Measure = Callable[[torch.Tensor, torch.Tensor], float]
TOKENS = 2
"""Of one latent frame."""


def masked(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: list[list[bool]]
) -> torch.Tensor:
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    allowed = torch.tensor(mask).repeat_interleave(TOKENS, 0).repeat_interleave(TOKENS, 1)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2)


def qkv(draw: Draw, frames: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    q, k, v = (draw(2, frames * TOKENS, 3, 8, seed=seed) for seed in range(3))
    return q, k, v


@pytest.mark.parametrize("frames", [9, 8, 3, 2])
@pytest.mark.parametrize("window", [None, 3, 4, 6, 9, 20])
def test_block_causal_equals_a_dense_mask(draw: Draw, frames: int, window: int | None) -> None:
    def sees(query: int, key: int) -> bool:
        end = min((query // 3 + 1) * 3, frames)
        return key < end and (window is None or key >= end - window)

    q, k, v = qkv(draw, frames)
    found = attend_block_causal(
        q, k, v, block_tokens=3 * TOKENS,
        window_tokens=None if window is None else window * TOKENS,
    )  # fmt: skip
    mask = [[sees(query, key) for key in range(frames)] for query in range(frames)]
    torch.testing.assert_close(found, masked(q, k, v, mask), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frames", [9, 8, 3])
def test_teacher_forcing_equals_a_dense_mask(draw: Draw, frames: int) -> None:
    def sees(query: int, key: int) -> bool:
        query_noisy, key_noisy = query >= frames, key >= frames
        query_block, key_block = query % frames // 3, key % frames // 3
        if query_noisy:
            return key_block == query_block if key_noisy else key_block < query_block
        return not key_noisy and key_block <= query_block

    q, k, v = qkv(draw, 2 * frames)
    found = attend_teacher_forcing(q, k, v, block_tokens=3 * TOKENS)
    mask = [[sees(query, key) for key in range(2 * frames)] for query in range(2 * frames)]
    torch.testing.assert_close(found, masked(q, k, v, mask), rtol=1e-5, atol=1e-6)


def block_by_block(
    model: CausalWan,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    text: torch.Tensor,
    capacity: int,
    size: int = 3,
) -> torch.Tensor:
    rows, columns = latents.shape[3] // 2, latents.shape[4] // 2
    cache = KVCache(
        model.config, batch_size=len(latents), frame_tokens=rows * columns, capacity=capacity
    )
    context = model.encode_text(text)
    flows = []
    for first in range(0, latents.shape[1], size):
        own = slice(first, first + size)
        slots = [CacheSlot(cache, first)]
        flows.append(model.forward_cached(latents[:, own], timesteps[:, own], context, slots))
    return torch.cat(flows, dim=1)


@pytest.mark.parametrize("window", [None, 3, 6, 7])
def test_cached_equals_uncached(
    small_model: CausalWan, draw: Draw, relative_l2: Measure, window: int | None
) -> None:
    """With a window too: a context key depends on what its own block saw, in both."""
    latents, text = draw(2, 12, 4, 4, 6), draw(2, 4, 8, seed=1)
    timesteps = 1000 * draw(2, 12, seed=2).sigmoid()
    dense = small_model(latents, timesteps, text, attention="block_causal", window=window)
    cached = block_by_block(small_model, latents, timesteps, text, window or 12)
    assert relative_l2(cached, dense) <= 1e-5
    if window is not None:
        everything = small_model(latents, timesteps, text, attention="block_causal")
        assert relative_l2(cached, everything) > 1e-2


def test_cached_equals_uncached_past_1024_frames(
    make_model: Callable[..., CausalWan], draw: Draw, relative_l2: Measure
) -> None:
    model = make_model(dim=12, ffn_dim=12)
    latents, text = draw(1, 1056, 4, 2, 2), draw(1, 4, 8, seed=1)
    timesteps = torch.full((1, 1056), 500.0)
    dense = model(
        latents, timesteps, text, attention="block_causal", window=44, frames_per_block=22
    )
    cached = block_by_block(model, latents, timesteps, text, capacity=44, size=22)
    assert relative_l2(cached[:, -33:], dense[:, -33:]) <= 1e-5


def test_a_block_does_not_see_later_ones(small_model: CausalWan, draw: Draw) -> None:
    latents, text = draw(1, 9, 4, 4, 6), draw(1, 4, 8, seed=1)
    changed = latents.clone()
    changed[:, 5] += 1
    timesteps = torch.tensor([500.0])
    before, after = (
        small_model(x, timesteps, text, attention="block_causal") for x in (latents, changed)
    )
    assert torch.equal(before[:, :3], after[:, :3])
    for frame in range(3, 9):  # the whole of the changed block, and all after it
        assert not torch.equal(before[:, frame], after[:, frame])


def test_one_timestep_a_video_equals_one_a_frame(small_model: CausalWan, draw: Draw) -> None:
    latents, text = draw(2, 6, 4, 4, 6), draw(2, 4, 8, seed=1)
    once = torch.tensor([700.0, 300.0])
    each = once[:, None].expand(-1, 6)
    for arguments in ({}, {"attention": "teacher_forcing", "clean_latents": latents.flip(1)}):
        torch.testing.assert_close(
            small_model(latents, once, text, **arguments),
            small_model(latents, each, text, **arguments),
            rtol=1e-5, atol=1e-5,
        )  # fmt: skip


def test_a_context_pass_leaves_the_same_keys(small_model: CausalWan, draw: Draw) -> None:
    """Without the flow, the rest of the last layer is skipped; nothing that stays may change."""
    first, second = draw(1, 3, 4, 4, 6), draw(1, 3, 4, 4, 6, seed=1)
    text = small_model.encode_text(draw(1, 4, 8, seed=2))
    timesteps = torch.tensor([400.0])
    flows = []
    for num_context in (0, 1):
        cache = KVCache(small_model.config, batch_size=1, frame_tokens=6, capacity=6)
        slots = [CacheSlot(cache, 0)]
        small_model.forward_cached(first, timesteps, text, slots, num_context=num_context)
        flows.append(small_model.forward_cached(second, timesteps, text, [CacheSlot(cache, 3)]))
    assert torch.equal(flows[0], flows[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latents": (1, 6, 5, 4, 6)}, "latents have shape"),
        ({"latents": (6, 4, 4, 6)}, "latents have shape"),
        ({"latents": (1, 6, 4, 5, 6)}, "does not divide into patches"),
        ({"timesteps": (2,)}, "timesteps have shape"),
        ({"timesteps": (1, 5)}, "timesteps have shape"),
        ({"text": (1, 5, 8)}, "text has shape"),
        ({"text": (1, 4, 9)}, "text has shape"),
        ({"text": (4, 8)}, "text has shape"),
        ({"attention": "causal"}, "'causal' is unknown"),
        ({"window": 6}, "needs attention='block_causal'"),
        ({"attention": "teacher_forcing"}, "belong together"),
        ({"clean_latents": (1, 6, 4, 4, 6)}, "belong together"),
        ({"attention": "teacher_forcing", "clean_latents": (1, 3, 4, 4, 6)}, "must match"),
    ],
)
def test_wrong_use_is_named(
    small_model: CausalWan, change: dict[str, tuple[int, ...] | str | int], words: str
) -> None:
    arguments: dict[str, object] = {
        "latents": (1, 6, 4, 4, 6), "timesteps": (1,), "text": (1, 4, 8), **change,
    }  # fmt: skip
    ready = {k: torch.zeros(v) if isinstance(v, tuple) else v for k, v in arguments.items()}
    with pytest.raises(UsageError, match=words):
        small_model(**ready)
