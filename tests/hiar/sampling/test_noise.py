import itertools

import pytest
import torch

from hiar.sampling.noise import KeyedNoise, initial_noise, keyed_noise

pytestmark = pytest.mark.numerics

KEY = {"seed": 1, "prompt_index": 2, "block": 3, "step": 1}
SHAPE = (3, 16, 8, 12)
NUM_VALUES = 3 * 16 * 8 * 12


def test_same_key_same_noise_whatever_was_drawn_before() -> None:
    first = keyed_noise(SHAPE, **KEY)
    torch.manual_seed(7)
    torch.randn(100)
    keyed_noise(SHAPE, **(KEY | {"seed": 9}))
    assert torch.equal(keyed_noise(SHAPE, **KEY), first)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    expected = torch.randn(4)
    torch.manual_seed(0)
    keyed_noise(SHAPE, **KEY)
    assert torch.equal(torch.randn(4), expected)


def test_different_keys_are_uncorrelated() -> None:
    """Also keys that read alike when joined without a mark, such as 1, 23 and 12, 3."""
    keys = [KEY, *(KEY | {name: value + 1} for name, value in KEY.items())]
    keys += [
        {"seed": 1, "prompt_index": 23, "block": 3, "step": 1},
        {"seed": 12, "prompt_index": 3, "block": 3, "step": 1},
        {"seed": 12, "prompt_index": 33, "block": 1, "step": 1},
        {"seed": -1, "prompt_index": 2, "block": 3, "step": 1},
    ]
    draws = torch.stack([keyed_noise(SHAPE, **key).flatten() for key in keys])
    correlation = torch.corrcoef(draws) - torch.eye(len(keys))
    # Of independent draws the standard error is 1 / sqrt(4608) = 0.0147; 36 pairs.
    assert correlation.abs().max() < 5 / NUM_VALUES**0.5


def test_unit_normal() -> None:
    draws = torch.cat([keyed_noise(SHAPE, **(KEY | {"block": b})).flatten() for b in range(40)])
    # Standard errors over n = 184,320 values: mean 1 / sqrt(n), variance sqrt(2 / n),
    # fourth moment sqrt(96 / n); five of them allowed.
    error = len(draws) ** -0.5
    assert abs(draws.mean()) < 5 * error
    assert abs(draws.square().mean() - 1) < 5 * error * 2**0.5
    assert abs(draws.pow(4).mean() - 3) < 5 * error * 96**0.5


def test_initial_noise_joins_the_blocks_of_each_prompt() -> None:
    noise = initial_noise(2, 3, SHAPE, seed=5, prompt_indices=[4, 9])
    assert noise.shape == (2, 9, 16, 8, 12)
    for (i, prompt), block in itertools.product(enumerate((4, 9)), range(3)):
        expected = keyed_noise(SHAPE, seed=5, prompt_index=prompt, block=block, step=0)
        assert torch.equal(noise[i, 3 * block : 3 * block + 3], expected)


def test_a_longer_video_begins_with_the_same_noise() -> None:
    short, long = (initial_noise(1, blocks, SHAPE, seed=5) for blocks in (2, 4))
    assert torch.equal(long[:, :6], short)


def test_prompts_are_counted_from_0() -> None:
    counted = initial_noise(3, 2, SHAPE, seed=5)
    assert torch.equal(counted, initial_noise(3, 2, SHAPE, seed=5, prompt_indices=[0, 1, 2]))


@pytest.mark.parametrize("prompts", [[3], [3, 0], [8, 3, 1]])
def test_renoise_is_independent_of_batch_and_order(prompts: list[int]) -> None:
    renoise = KeyedNoise(block_shape=SHAPE, seed=5, prompt_indices=prompts).renoise
    for step, block in ((2, 1), (0, 0), (2, 1), (1, 7)):
        drawn = renoise(step, block)[prompts.index(3)]
        # Step s adds noise with key s + 1; key 0 is the initial noise.
        assert torch.equal(
            drawn, keyed_noise(SHAPE, seed=5, prompt_index=3, block=block, step=step + 1)
        )


def test_renoise_has_the_dtype_asked_for() -> None:
    noise = KeyedNoise(block_shape=SHAPE, seed=5, prompt_indices=[0], dtype=torch.bfloat16)
    expected = keyed_noise(SHAPE, seed=5, prompt_index=0, block=0, step=1).bfloat16()
    assert torch.equal(noise.renoise(0, 0)[0], expected)
