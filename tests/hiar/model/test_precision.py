"""bfloat16 inference: how far it is from float32, and what is computed in float32 regardless."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch

from hiar.model.layers import RMSNorm, modulate, norm_modulated, timestep_embedding
from hiar.model.rope import rotary_table, rotate
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sampler import sample_latents

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
Measure = Callable[[torch.Tensor, torch.Tensor], float]
STEP = 2.0**-8
"""Half of bfloat16's spacing at 1: its relative rounding error."""


@pytest.fixture
def half_model(small_model: CausalWan) -> CausalWan:
    return deepcopy(small_model).to(torch.bfloat16)


def test_one_pass_is_near_float32(
    small_model: CausalWan, half_model: CausalWan, draw: Draw, relative_l2: Measure
) -> None:
    x, text, t = draw(1, 3, 4, 4, 6), draw(1, 4, 8), torch.tensor([750.0])
    expected = small_model(x, t, text)
    found = half_model(x.bfloat16(), t, text.bfloat16())
    assert found.dtype == torch.bfloat16
    # Some forty roundings follow one another on the way through two layers.
    assert STEP / 2 < relative_l2(found, expected) < 10 * STEP


@pytest.mark.parametrize("order", ["step_first", "diagonal"])
def test_a_video_is_near_float32(
    small_model: CausalWan, half_model: CausalWan, draw: Draw, relative_l2: Measure, order: str
) -> None:
    config = SamplerConfig(order=order, window=6)  # type: ignore[arg-type]
    noise, text = draw(1, 12, 4, 4, 6), draw(1, 4, 8)
    expected = sample_latents(small_model, text, noise, config)
    found = sample_latents(half_model, text.bfloat16(), noise, config)
    assert found.dtype == torch.float32  # the latents between steps stay as precise as the noise
    assert relative_l2(found, expected) < 20 * STEP


def test_orders_agree_to_the_bit(half_model: CausalWan, draw: Draw) -> None:
    noise, text = draw(1, 12, 4, 4, 6), draw(1, 4, 8).bfloat16()
    step_first, diagonal = (
        sample_latents(half_model, text, noise, SamplerConfig(order=order, window=6))  # type: ignore[arg-type]
        for order in ("step_first", "diagonal")
    )
    assert torch.equal(step_first, diagonal)


@pytest.mark.parametrize("first_frame", [0, 5_000])
def test_rotation_is_rounded_once(draw: Draw, first_frame: int) -> None:
    x = draw(1, 12, 2, 16).bfloat16()
    table = rotary_table(first_frame, 2, 2, 3, 16)
    assert torch.equal(rotate(x, table), rotate(x.float(), table).bfloat16())


def test_norms_sum_in_float32() -> None:
    """A sum of 4096 equal squares in bfloat16 would stop growing at 256 of them."""
    norm = RMSNorm(4096, 1e-6).to(torch.bfloat16)
    x = torch.full((1, 4096), 3.0, dtype=torch.bfloat16)
    torch.testing.assert_close(norm(x).float(), torch.ones(1, 4096), rtol=STEP, atol=0)


def test_a_norm_and_its_turn_are_rounded_once(draw: Draw) -> None:
    norm, x = RMSNorm(32, 1e-6).to(torch.bfloat16), draw(1, 12, 32).bfloat16()
    norm.weight.data = draw(32).bfloat16()
    x64 = x.double()
    expected = x64 * torch.rsqrt(x64.square().mean(-1, keepdim=True) + 1e-6) * norm.weight.double()
    torch.testing.assert_close(norm(x).double(), expected, rtol=STEP, atol=0)
    # Not rounded at all before the rotary turn: the error is float32's.
    torch.testing.assert_close(norm.unrounded(x).double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_timesteps", [1, 2])
def test_modulation_of_a_video_does_not_depend_on_its_batch(
    draw: Draw, dtype: torch.dtype, num_timesteps: int
) -> None:
    norm = torch.nn.LayerNorm(16, 1e-6, elementwise_affine=False)
    x = draw(3, 12, 16)
    shift, scale = draw(3, num_timesteps, 1, 16), draw(3, num_timesteps, 1, 16)
    expected = modulate(norm(x.double()), shift.double(), scale.double())
    x, shift, scale = x.to(dtype), shift.to(dtype), scale.to(dtype)
    found = norm_modulated(x, norm, shift, scale)
    alone = [
        norm_modulated(x[i : i + 1], norm, shift[i : i + 1], scale[i : i + 1]) for i in range(3)
    ]
    assert torch.equal(found, torch.cat(alone))
    tolerance = 1e-5 if dtype == torch.float32 else 8 * STEP  # of values up to about 8
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


def test_neighbouring_timesteps_stay_apart() -> None:
    """In bfloat16 the timesteps 937.5 and 936 are one number."""
    a, b = (timestep_embedding(torch.tensor([t]), 16) for t in (937.5, 936.0))
    assert a.dtype == torch.float64
    assert (a - b).abs().max() > 0.1
