"""The generator's loss and gradient against recorded ones of the released trainer.

A rollout to each exit, both scores, the loss, and the gradient with and without the path through
the cache. Losses are a mean of squares over 32,256 values, so float32 noise averages out: 1e-6.
"""

import json
from functools import cache
from typing import Any

import pytest
import torch
from golden_vectors import GOLDEN, SIZES
from safetensors.torch import load_file

from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.training.gradient_cache import CacheGradient
from hiar.training.losses import dmd_loss
from hiar.training.rollout import rollout_with_exit
from hiar.training.scores import noise_for_score, predict_guided_x0, predict_x0, score_timesteps
from hiar.weights.checkpoint import load_transformer

pytestmark = pytest.mark.numerics

NORMS = {"straight_through": "grad_norms_official", "detached": "grad_norms_cache_detached"}
MODES: tuple[CacheGradient, ...] = ("straight_through", "detached")


@cache
def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((GOLDEN / "case_i_dmd_generator.json").read_text())
    return record


@cache
def network(name: str) -> CausalWan:
    return load_transformer(load_file(GOLDEN / f"weights_{name}.safetensors"), SIZES)


@cache
def generator_step(
    exit_step: int, mode: CacheGradient, checkpointed: bool = False
) -> tuple[float, float, dict[str, torch.Tensor]]:
    """The loss, the mean size of the DMD gradient, and each parameter's gradient."""
    case = load_file(GOLDEN / "case_i_dmd_generator.safetensors")
    generator = network("generator").requires_grad_(True)
    generator.zero_grad()
    generator.checkpoint_activations = checkpointed
    text, noise = case["context"], case["dmd_noise"]
    x0 = rollout_with_exit(
        generator, text, case["noise"], SamplerConfig(), exit_step, cache_gradient=mode,
        renoise=lambda step, block: case["bank"][step, 3 * block : 3 * block + 3][None],
    )  # fmt: skip
    timesteps = score_timesteps(torch.tensor([recorded()["dmd_timestep_randint"]]))
    with torch.no_grad():
        noised = noise_for_score(x0, noise, timesteps)
        guidance = recorded()["guidance_scale"] + 1
        real = predict_guided_x0(
            network("real_score"), noised, timesteps, text, case["uncond"], guidance
        )
        fake = predict_x0(network("fake_score"), noised, timesteps, text)
    loss, grad = dmd_loss(x0, real, fake)
    loss.backward()
    gradients = {
        name: p.grad.clone() for name, p in generator.named_parameters() if p.grad is not None
    }
    assert len(gradients) == len(list(generator.parameters()))
    return loss.item(), grad.abs().mean().item(), gradients


def together(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([gradients[name].double().flatten() for name in sorted(gradients)])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("exit_step", range(4))
def test_generator_loss(exit_step: int, mode: CacheGradient) -> None:
    expected = recorded()[f"exit{exit_step}"]
    loss, grad_size, _ = generator_step(exit_step, mode)
    assert loss == pytest.approx(expected["loss"], rel=1e-6)
    assert grad_size == pytest.approx(expected["dmdtrain_gradient_norm"], rel=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("exit_step", range(4))
def test_gradient_norms(exit_step: int, mode: CacheGradient) -> None:
    gradients = generator_step(exit_step, mode)[2]
    for part, expected in recorded()[f"exit{exit_step}"][NORMS[mode]].items():
        of_part = {
            name: gradient
            for name, gradient in gradients.items()
            if part in ("TOTAL", name) or name.startswith(f"{part}.")
        }
        assert together(of_part).norm().item() == pytest.approx(expected, rel=2e-6), part


@pytest.mark.parametrize("exit_step", range(4))
def test_path_through_the_cache_turns_the_gradient(exit_step: int) -> None:
    """As far, and in the same direction, as in the release: the two modes are not close."""
    expected = recorded()[f"exit{exit_step}"]["official_vs_detached"]
    official, detached = (together(generator_step(exit_step, mode)[2]) for mode in MODES)
    cosine = torch.nn.functional.cosine_similarity(official, detached, dim=0).item()
    assert cosine == pytest.approx(expected["cos"], abs=1e-6)
    distance = ((official - detached).norm() / official.norm()).item()
    assert distance == pytest.approx(expected["rel_l2"], abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_checkpointed_activations_change_nothing(mode: CacheGradient) -> None:
    loss, _, gradients = generator_step(2, mode)
    again, _, gradients_again = generator_step(2, mode, checkpointed=True)
    assert again == loss
    for name, gradient in gradients.items():
        assert torch.equal(gradient, gradients_again[name]), name


def test_timestep_is_shifted_and_not_snapped() -> None:
    found = score_timesteps(torch.tensor([recorded()["dmd_timestep_randint"]]))
    assert found.item() == recorded()["exit0"]["timestep_after_shift_clamp"]
    assert score_timesteps(torch.tensor([0, 999])).tolist() == [20, 980]
