"""Against recorded outputs of the released code; its own float32 noise is 3e-7 to 5e-7."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from golden_vectors import SIZES

from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sampler import sample_latents
from hiar.sampling.sigmas import (
    add_noise,
    denoising_steps,
    euler_step,
    flow_from_x0,
    nearest_index,
    sigma_at,
    sigma_table,
    timestep_table,
    x0_from_flow,
)
from hiar.weights.checkpoint import load_transformer

pytestmark = pytest.mark.numerics

Golden = Callable[[str], dict[str, torch.Tensor]]
Measure = Callable[[torch.Tensor, torch.Tensor], float]
TOLERANCE = 1e-5
MISTAKE = 1e-2
"""A wrong context level or order moves the result by 5e-2 or more."""


@pytest.fixture(scope="module")
def model(golden: Golden) -> CausalWan:
    return load_transformer(golden("weights_generator"), SIZES)


def sample(model: CausalWan, case: dict[str, torch.Tensor], config: SamplerConfig) -> torch.Tensor:
    def renoise(step: int, block: int) -> torch.Tensor:
        return case["bank"][step, 3 * block : 3 * block + 3][None]

    return sample_latents(model, case["context"], case["noise"], config, renoise=renoise)


@pytest.mark.parametrize(
    ("x", "t", "flow"),
    [("x", "t0", "flow0"), ("x", "t1", "flow1"), ("x2f", "t0", "flow_2frames_t0")],
)
def test_bidirectional(
    model: CausalWan, golden: Golden, relative_l2: Measure, x: str, t: str, flow: str
) -> None:
    case = golden("case_a_bidirectional")
    found = model(case[x].transpose(1, 2), case[t], case["context"])
    assert relative_l2(found, case[flow].transpose(1, 2)) <= TOLERANCE


def test_text_is_padded_with_zero_rows(
    model: CausalWan, golden: Golden, relative_l2: Measure
) -> None:
    case = golden("case_a_bidirectional")
    assert not case["context"][:, 11:].any()
    found = model(case["x2f"].transpose(1, 2), case["t0"], case["context"][:, :11])
    assert relative_l2(found, case["flow_2frames_t0"].transpose(1, 2)) <= TOLERANCE


@pytest.mark.parametrize(
    ("flow", "t", "window"),
    [
        ("flow_t_frame", "t_frame", None),
        ("flow_t_block", "t_block", None),
        ("flow_local6", "t_block", 6),
    ],
)
def test_block_causal(
    model: CausalWan,
    golden: Golden,
    relative_l2: Measure,
    flow: str,
    t: str,
    window: int | None,
) -> None:
    case = golden("case_b_causal_train")
    x = case["x"].transpose(1, 2)
    found = model(x, case[t], case["context"], attention="block_causal", window=window)
    assert relative_l2(found, case[flow].transpose(1, 2)) <= TOLERANCE


@pytest.mark.parametrize(("flow", "aug"), [("flow_tf", None), ("flow_tf_aug", "aug_t")])
def test_teacher_forcing(
    model: CausalWan, golden: Golden, relative_l2: Measure, flow: str, aug: str | None
) -> None:
    case = golden("case_b_causal_train")
    found = model(
        case["x"].transpose(1, 2), case["t_block"], case["context"], attention="teacher_forcing",
        clean_latents=case["clean_x"].transpose(1, 2),
        clean_timesteps=None if aug is None else case[aug],
    )  # fmt: skip
    assert relative_l2(found, case[flow].transpose(1, 2)) <= TOLERANCE


def test_block_first(model: CausalWan, golden: Golden, relative_l2: Measure) -> None:
    same_inputs = golden("case_d_step_first_21")
    found = sample(model, same_inputs, SamplerConfig(order="block_first", context="clean"))
    assert relative_l2(found, golden("case_c_block_first_21")["latents"]) <= TOLERANCE


@pytest.mark.parametrize("order", ["step_first", "diagonal"])
def test_step_first(model: CausalWan, golden: Golden, relative_l2: Measure, order: Any) -> None:
    case = golden("case_d_step_first_21")
    found = sample(model, case, SamplerConfig(order=order))
    assert relative_l2(found, case["latents"]) <= TOLERANCE


@pytest.mark.parametrize(
    "mistake",
    [
        {"context": "input"},
        {"context": "clean"},
        {"order": "block_first", "context": "clean"},
        {"warp": False},
        {"stochastic": False},
        {"window": 18},
        {"shift": 8.0},
    ],
    ids=lambda mistake: "-".join(f"{key}={value}" for key, value in mistake.items()),
)
def test_a_plausible_mistake_shows(
    model: CausalWan, golden: Golden, relative_l2: Measure, mistake: dict[str, Any]
) -> None:
    case = golden("case_d_step_first_21")
    found = sample(model, case, replace(SamplerConfig(), **mistake))
    assert relative_l2(found, case["latents"]) > MISTAKE


@pytest.mark.parametrize("shift", [5, 8])
def test_sigma_tables(golden: Golden, shift: int) -> None:
    case = golden("case_h_scheduler")
    torch.testing.assert_close(sigma_table(shift), case[f"sigmas_shift{shift}"])
    torch.testing.assert_close(timestep_table(shift), case[f"timesteps_shift{shift}"])


def test_teacher_table_of_48_steps(golden: Golden) -> None:
    case = golden("case_h_scheduler")
    torch.testing.assert_close(sigma_table(8.0, 48), case["teacher48_sigmas_shift8"])
    torch.testing.assert_close(timestep_table(8.0, 48), case["teacher48_timesteps_shift8"])


def test_warped_steps(golden: Golden) -> None:
    expected = golden("case_h_scheduler")["denoising_step_list"]
    found = [step.timestep for step in denoising_steps(SamplerConfig())]
    torch.testing.assert_close(torch.tensor(found), expected)


def test_noise_x0_flow_and_euler_step(golden: Golden, relative_l2: Measure) -> None:
    case = golden("case_h_scheduler")
    assert torch.equal(nearest_index(case["t"], 5.0), case["timestep_id"])
    sigma = sigma_at(case["t"], 5.0)
    torch.testing.assert_close(sigma, case["sigma_used"])
    each = sigma[:, None, None, None]
    next_sigma = sigma_at(case["ode_target_t"], 5.0)[:, None, None, None]
    sigma8 = sigma_at(case["t"], 8.0)[:, None, None, None]
    found = {
        "xt": add_noise(case["x0"], case["eps"], each),
        "x0_from_flow": x0_from_flow(case["xt"], case["flow"], each),
        "x0_from_flow_shift8": x0_from_flow(case["xt"], case["flow"], sigma8),
        "flow_from_x0": flow_from_x0(case["xt"], case["x0_from_flow"], each),
        "ode_next": euler_step(case["xt"], case["flow"], each, next_sigma),
    }
    for name, tensor in found.items():
        assert relative_l2(tensor, case[name]) <= TOLERANCE, name
