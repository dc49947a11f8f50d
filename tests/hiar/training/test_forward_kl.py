from collections.abc import Callable
from typing import Any

import pytest
import torch

from hiar.errors import UsageError
from hiar.model.transformer import CausalWan
from hiar.training.data import TrajectoryBatch
from hiar.training.forward_kl import ForwardKLConfig, trajectory_loss
from hiar.training.trajectories import OdeConfig, sample_trajectory

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
SIZE = 2
EVERY_STEP = OdeConfig(steps=4, shift=5.0, guidance=1.0, saved=(0, 1, 2, 3, 4))


@pytest.fixture
def batch(small_model: CausalWan, draw: Draw) -> TrajectoryBatch:
    """Paths of the small model itself, every Euler step of them."""
    text = draw(3, 4, 8, seed=1)
    latents = sample_trajectory(small_model, draw(3, 3 * SIZE, 4, 4, 6), text, text[:1], EVERY_STEP)
    return TrajectoryBatch(latents=latents, sigmas=EVERY_STEP.saved_sigmas, text=text)


@pytest.mark.parametrize("target", ["velocity", "x0"])
@pytest.mark.parametrize("chosen", [(0, 0, 0), (3, 1, 2)])
def test_a_model_on_its_own_path_has_nothing_to_learn(
    small_model: CausalWan, batch: TrajectoryBatch, target: Any, chosen: tuple[int, ...]
) -> None:
    """Each step was one Euler step of this model, bidirectional: its flow is the chord's slope."""
    config = ForwardKLConfig(target=target)
    own = trajectory_loss(small_model, batch, chosen, config, frames_per_block=SIZE)
    assert own.item() < 1e-9
    causal = ForwardKLConfig(target=target, attention="block_causal")
    other = trajectory_loss(small_model, batch, chosen, causal, frames_per_block=SIZE)
    assert other.item() > 1e-3


@pytest.mark.parametrize("attention", ["bidirectional", "block_causal"])
def test_the_x0_target_weighs_each_level_by_its_square(
    make_model: Callable[..., CausalWan], batch: TrajectoryBatch, attention: Any
) -> None:
    """The error of x0 = x - sigma flow is sigma times that of the flow."""
    student = make_model(seed=5)
    for start, sigma in enumerate(EVERY_STEP.saved_sigmas[:-1].tolist()):
        velocity, x0 = (
            trajectory_loss(
                student, batch, [start] * 3, ForwardKLConfig(attention=attention, target=target),
                frames_per_block=SIZE,
            ).item()
            for target in ("velocity", "x0")
        )  # fmt: skip
        assert x0 == pytest.approx(sigma**2 * velocity, rel=1e-4)


def test_the_loss_is_a_mean_over_videos(
    make_model: Callable[..., CausalWan], batch: TrajectoryBatch
) -> None:
    student, chosen = make_model(seed=5).requires_grad_(True), (0, 3, 1)
    config = ForwardKLConfig()
    whole = trajectory_loss(student, batch, chosen, config, frames_per_block=SIZE)
    alone = [
        trajectory_loss(
            student,
            TrajectoryBatch(
                latents=batch.latents[[i]], sigmas=batch.sigmas, text=batch.text[[i]]
            ),
            chosen[i : i + 1], config, frames_per_block=SIZE,
        ).item()
        for i in range(3)
    ]  # fmt: skip
    assert whole.item() == pytest.approx(sum(alone) / 3, rel=1e-5)
    whole.backward()
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_the_timestep_is_that_of_the_point(
    small_model: CausalWan, batch: TrajectoryBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1000 times its own level."""
    asked: list[torch.Tensor] = []
    inner = CausalWan.forward

    def forward(self: CausalWan, latents: Any, timesteps: Any, *args: Any, **options: Any) -> Any:
        asked.append(timesteps)
        return inner(self, latents, timesteps, *args, **options)

    monkeypatch.setattr(CausalWan, "forward", forward)
    trajectory_loss(small_model, batch, (2, 0, 1), ForwardKLConfig(), frames_per_block=SIZE)
    # Shift 5: u = 1/2 is 5/6, u = 3/4 is 15/16.
    expected = torch.tensor([1000 * 5 / 6, 1000.0, 937.5])
    torch.testing.assert_close(asked[0], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention": "causal"}, "attention 'causal' is unknown: use one of bidirectional"),
        ({"target": "flow"}, "target 'flow' is unknown"),
        ({"steps": 0}, "steps 0"),
        ({"weight": 0.0}, "weight 0.0 must be above 0"),
    ],
)
def test_bad_settings(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ForwardKLConfig(**change)
