from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hiar.errors import UsageError
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sigmas import (
    add_noise,
    denoising_steps,
    euler_step,
    flow_from_x0,
    nearest_index,
    shift_sigma,
    sigma_at,
    sigma_table,
    warp_steps,
    x0_from_flow,
)

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
# Exact in float32, so that closed forms hold without a sigma of their own rounding.
SIGMAS = pytest.mark.parametrize("sigma", [1.0, 0.9375, 0.625, 0.0625])


@SIGMAS
def test_x0_and_flow_of_noised_data(draw: Draw, sigma: float) -> None:
    x0, noise = draw(3, 5), draw(3, 5, seed=1)
    x = add_noise(x0, noise, sigma)
    # atol: x is a float32 of size 3, and the flow divides its rounding by sigma
    torch.testing.assert_close(x0_from_flow(x, noise - x0, sigma), x0, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(flow_from_x0(x, x0, sigma), noise - x0, rtol=1e-5, atol=1e-5)


@SIGMAS
def test_x0_to_flow_and_back(draw: Draw, sigma: float) -> None:
    x, x0 = draw(3, 5), draw(3, 5, seed=1)
    back = x0_from_flow(x, flow_from_x0(x, x0, sigma), sigma)
    torch.testing.assert_close(back, x0, rtol=1e-5, atol=1e-6)


@SIGMAS
def test_euler_to_sigma_0_is_x0(draw: Draw, sigma: float) -> None:
    x, flow = draw(3, 5), draw(3, 5, seed=1)
    torch.testing.assert_close(
        euler_step(x, flow, sigma, 0.0), x0_from_flow(x, flow, sigma), rtol=1e-5, atol=1e-6
    )


def test_euler_stays_on_the_line_from_data_to_noise(draw: Draw) -> None:
    x0, noise = draw(3, 5), draw(3, 5, seed=1)
    moved = euler_step(add_noise(x0, noise, 0.75), noise - x0, 0.75, 0.25)
    torch.testing.assert_close(moved, add_noise(x0, noise, 0.25), rtol=1e-5, atol=1e-6)


def test_ends_of_the_noise_scale(draw: Draw) -> None:
    x0, noise = draw(3, 5), draw(3, 5, seed=1)
    assert torch.equal(add_noise(x0, noise, 0.0), x0)
    assert torch.equal(add_noise(x0, noise, 1.0), noise)


def test_a_sigma_a_frame_broadcasts(draw: Draw) -> None:
    x, flow, sigma = draw(2, 3, 4), draw(2, 3, 4, seed=1), draw(2, 3, 1, seed=2).sigmoid()
    found = x0_from_flow(x, flow, sigma)
    for i in range(2):
        for j in range(3):
            one = x0_from_flow(x[i, j], flow[i, j], float(sigma[i, j, 0]))
            torch.testing.assert_close(found[i, j], one)
    assert flow_from_x0(x.bfloat16(), flow, sigma).dtype == torch.bfloat16


def test_shift_by_hand() -> None:
    # 5 x 1/2 / (1 + 4 x 1/2) = 5/6; 8 x 1/4 / (1 + 7 x 1/4) = 8/11
    assert float(shift_sigma(torch.tensor(0.5), 5.0)) == pytest.approx(5 / 6)
    assert float(shift_sigma(torch.tensor(0.25), 8.0)) == pytest.approx(8 / 11)


@pytest.mark.parametrize("shift", [1.0, 5.0, 8.0])
def test_table_falls_from_1_and_does_not_reach_0(shift: float) -> None:
    table = sigma_table(shift)
    assert len(table) == 1000
    assert table[0] == 1
    assert (table.diff() < 0).all()
    last = shift * 0.001 / (1 + (shift - 1) * 0.001)
    assert float(table[-1]) == pytest.approx(last, rel=1e-4)  # 1 - 0.999 in float32


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
def test_warp_at_shift_1_is_the_identity(steps: list[int]) -> None:
    warped = warp_steps(steps, 1.0)
    # atol: the table is float32 and goes up to 1000
    torch.testing.assert_close(warped, torch.tensor(steps).float(), rtol=0, atol=1e-3)


def test_default_steps_by_hand() -> None:
    # 5 u / (1 + 4 u): 1 -> 1; 3/4 -> 15/16; 1/2 -> 5/6; 1/4 -> 5/8
    steps = denoising_steps(SamplerConfig())
    assert [s.timestep for s in steps] == pytest.approx([1000, 937.5, 2500 / 3, 625])
    assert [s.sigma for s in steps] == pytest.approx([1, 15 / 16, 5 / 6, 5 / 8])


def test_steps_without_warp_find_the_nearest_sigma() -> None:
    steps = denoising_steps(SamplerConfig(warp=False, steps=(1000, 937.5, 512.345)))
    assert [s.timestep for s in steps] == pytest.approx([1000, 937.5, 512.345])
    assert [s.sigma for s in steps[:2]] == pytest.approx([1, 15 / 16])
    # Entries 5 / (5 + 1000 / k - 1): k = 174 gives 0.51297, k = 173 gives 0.51122.
    assert steps[2].sigma == pytest.approx(0.51297, abs=1e-5)


@given(st.floats(0, 1000, width=32), st.sampled_from([1.0, 5.0, 8.0]))
def test_nearest_index_is_nearest(timestep: float, shift: float) -> None:
    table = (1000 * sigma_table(shift)).tolist()
    index = int(nearest_index(torch.tensor(timestep), shift))
    assert abs(table[index] - timestep) == min(abs(entry - timestep) for entry in table)


def test_timestep_0_finds_the_last_entry() -> None:
    assert float(sigma_at(torch.tensor(0.0), 5.0)) == float(sigma_table(5.0)[-1]) > 0


@pytest.mark.parametrize("step", [0, 1001, -1])
def test_a_step_outside_the_table_is_named(step: int) -> None:
    with pytest.raises(UsageError, match=str(step)):
        warp_steps([step], 5.0)
