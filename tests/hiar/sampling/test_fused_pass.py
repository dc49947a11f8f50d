"""The fused pass: one forward for a block's context and the next block's denoising."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.model.transformer import CausalWan
from hiar.sampling.cells import CellPass, CellRunner
from hiar.sampling.config import SamplerConfig
from hiar.sampling.noise import KeyedNoise, block_noise
from hiar.sampling.sampler import sample_latents
from hiar.sampling.schedule import Cell

pytestmark = pytest.mark.numerics

SHAPE = (3, 4, 4, 6)  # a block: frames, channels, rows, columns of latent pixels
TOKENS = 2 * 3
SETTINGS = [
    SamplerConfig(order="diagonal", window=9),
    SamplerConfig(order="diagonal", window=7, sink=2),
    SamplerConfig(order="diagonal", context="clean", stochastic=False),
]


@pytest.mark.parametrize("capacity", [6, 7, 12])
@torch.no_grad()
def test_one_pass_computes_what_two_passes_do(
    small_model: CausalWan,
    draw: Callable[..., torch.Tensor],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
    capacity: int,
) -> None:
    """Also where the second block overwrites what the first still has to see."""
    model = small_model
    text = model.encode_text(draw(2, 3, 8))
    blocks = draw(4, 2, *SHAPE, seed=1)  # of two videos
    caches = [
        KVCache(model.config, batch_size=2, frame_tokens=TOKENS, capacity=capacity)
        for _ in range(2)
    ]
    for cache in caches:
        for index in range(3):
            slots = [CacheSlot(cache, 3 * index)]
            model.forward_cached(blocks[index], torch.full((2,), 900.0), text, slots)
    first, second = torch.full((2,), 500.0), torch.full((2,), 900.0)
    model.forward_cached(blocks[2], first, text, [CacheSlot(caches[0], 6)], num_context=1)
    apart = model.forward_cached(blocks[3], second, text, [CacheSlot(caches[0], 9)])
    fused = model.forward_cached(
        blocks[2:].flatten(0, 1), torch.cat((first, second)), text.repeat(2),
        [CacheSlot(caches[1], 6), CacheSlot(caches[1], 9)], num_context=1,
    )  # fmt: skip
    # float32 sums over other shapes of product: a few ulp
    assert relative_l2(fused, apart) < 1e-6
    for found, expected in zip(
        caches[1].write(0, 12, *[draw(2, 3 * TOKENS, 2, 12)] * 2),
        caches[0].write(0, 12, *[draw(2, 3 * TOKENS, 2, 12)] * 2),
        strict=True,
    ):
        assert relative_l2(found, expected) < 1e-6


def sample_fused(model: CausalWan, text: torch.Tensor, config: SamplerConfig) -> torch.Tensor:
    """Sweep step after step; a context pass waits for the next block and runs with it."""
    runner = CellRunner(
        model, text, config,
        KeyedNoise(block_shape=SHAPE, seed=0, prompt_indices=[0]).renoise,
        latent_shape=SHAPE[1:], num_blocks=5,
    )  # fmt: skip
    state = [
        block_noise(SHAPE, seed=0, prompt_indices=[0], block=block, step=0) for block in range(5)
    ]
    for step in range(4):
        context: list[CellPass] = []
        for block in range(5):
            (state[block],), context = runner.denoise(
                [Cell(step, block)], [state[block]], context=context
            )
        assert context == []  # nothing sees the last block
    return torch.cat(state, dim=1)


@pytest.mark.parametrize("config", SETTINGS)
@torch.no_grad()
def test_a_fused_sweep_samples_the_same_video(
    small_model: CausalWan,
    draw: Callable[..., torch.Tensor],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
    config: SamplerConfig,
) -> None:
    text = draw(1, 4, 8)
    noise = torch.cat(
        [block_noise(SHAPE, seed=0, prompt_indices=[0], block=b, step=0) for b in range(5)], dim=1
    )
    expected = sample_latents(small_model, text, noise, replace(config, order="step_first"))
    assert relative_l2(sample_fused(small_model, text, config), expected) < 1e-5
