import math
from collections.abc import Callable

import pytest
import torch

from hiar.errors import UsageError
from hiar.training.losses import (
    TargetKind,
    critic_loss,
    dmd_loss,
    forward_kl_loss,
    forward_kl_target,
)

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
SHAPE = (2, 3, 2, 4, 6)


@pytest.fixture
def triple(draw: Draw) -> list[torch.Tensor]:
    return [draw(*SHAPE, seed=seed) for seed in range(3)]


def test_dmd_by_hand() -> None:
    # Distances from the teacher are 1 and 3, their mean 2; the critic is 4 and 0 above it.
    x0 = torch.tensor([[1.0, 3.0]]).requires_grad_()
    loss, grad = dmd_loss(x0, torch.tensor([[0.0, 0.0]]), torch.tensor([[4.0, 0.0]]))
    assert grad.tolist() == [[2.0, 0.0]]
    assert loss.dtype == torch.float64
    assert loss.item() == 0.5 * (4 + 0) / 2
    loss.backward()
    assert x0.grad is not None
    assert x0.grad.tolist() == [[1.0, 0.0]]


def test_dmd_gradient_is_the_difference_of_the_scores(triple: list[torch.Tensor]) -> None:
    x0, real, fake = triple
    x0.requires_grad_()
    loss, grad = dmd_loss(x0, real, fake)
    loss.backward()
    assert x0.grad is not None
    assert grad.shape == x0.shape
    assert grad.dtype == torch.float32
    torch.testing.assert_close(x0.grad, grad / grad.numel())
    assert loss.item() == pytest.approx(0.5 * grad.double().square().mean().item(), rel=1e-6)


def test_dmd_is_scaled_per_video(triple: list[torch.Tensor]) -> None:
    whole = dmd_loss(*triple)[1]
    for index in range(2):
        alone = dmd_loss(*(tensor[index : index + 1] for tensor in triple))[1]
        torch.testing.assert_close(whole[index : index + 1], alone)


@pytest.mark.parametrize("frames", [slice(0, 1), slice(1, 3)])
def test_dmd_mask_counts_part_of_the_values(triple: list[torch.Tensor], frames: slice) -> None:
    x0 = triple[0].requires_grad_()
    mask = torch.zeros(1, 3, 1, 1, 1, dtype=torch.bool)
    mask[:, frames] = True
    loss, grad = dmd_loss(x0, *triple[1:], mask=mask)
    counted = grad[:, frames]
    assert loss.item() == pytest.approx(0.5 * counted.double().square().mean().item(), rel=1e-6)
    loss.backward()
    assert x0.grad is not None
    torch.testing.assert_close(x0.grad, grad * mask / counted.numel())


def test_dmd_at_the_teacher_is_zero_not_nan(draw: Draw) -> None:
    x0 = draw(*SHAPE)
    loss, grad = dmd_loss(x0, x0, x0)
    assert loss.item() == 0
    assert not grad.any()


def test_no_gradient_reaches_the_scores(triple: list[torch.Tensor]) -> None:
    tensors = [tensor.requires_grad_() for tensor in triple]
    dmd_loss(*tensors)[0].backward()
    assert tensors[1].grad is None
    assert tensors[2].grad is None


def test_critic_gradcheck(triple: list[torch.Tensor]) -> None:
    flow, noise, x0 = (tensor.double() for tensor in triple)
    assert torch.autograd.gradcheck(lambda f: critic_loss(f, noise, x0), flow.requires_grad_())
    assert critic_loss(noise - x0, noise, x0).item() == 0
    # Every value is off by 1/2.
    assert critic_loss(noise - x0 + 0.5, noise, x0).item() == pytest.approx(0.25)


def test_forward_kl_gradcheck(triple: list[torch.Tensor]) -> None:
    prediction, x_a, x_b = (tensor.double() for tensor in triple)
    target = forward_kl_target(x_a, x_b, 0.9, 0.6)
    assert torch.autograd.gradcheck(
        lambda p: forward_kl_loss(p, target), prediction.requires_grad_()
    )
    assert forward_kl_loss(target, target).item() == 0


def test_dmd_gradcheck_with_its_target_held(triple: list[torch.Tensor]) -> None:
    """The loss holds its target fixed: finite differences must be taken with the target held."""
    x0, real, fake = (tensor.double() for tensor in triple)
    target = x0 - dmd_loss(x0, real, fake)[1]

    def squares(x: torch.Tensor) -> torch.Tensor:
        return 0.5 * (x - target).square().mean()

    assert torch.autograd.gradcheck(squares, x0.requires_grad_())
    (expected,) = torch.autograd.grad(squares(x0), x0)
    (found,) = torch.autograd.grad(dmd_loss(x0, real, fake)[0], x0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("sigma", [1.0, 0.96, 8 / 9])
def test_on_a_straight_path_both_targets_are_exact(draw: Draw, sigma: float) -> None:
    """x = (1 - sigma) x0 + sigma noise has slope noise - x0 and ends at x0, whatever the chord."""
    x0, noise = draw(*SHAPE), draw(*SHAPE, seed=1)
    levels = (sigma, sigma / 2)
    points = [torch.lerp(x0, noise, level) for level in levels]
    torch.testing.assert_close(
        forward_kl_target(*points, *levels), noise - x0, rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(
        forward_kl_target(*points, *levels, kind="x0"), x0, rtol=1e-5, atol=1e-5
    )


def test_the_x0_target_is_a_chord_not_the_end() -> None:
    # Slope (5 - 3) / (0.5 - 1) = -4; at sigma 0: 3 - 1 (-4) = 7.
    x_a, x_b = torch.full((1, 1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1, 1), 5.0)
    assert forward_kl_target(x_a, x_b, 1.0, 0.5).item() == -4
    assert forward_kl_target(x_a, x_b, 1.0, 0.5, "x0").item() == 7


@pytest.mark.parametrize("kind", ["velocity", "x0"])
def test_levels_may_differ_within_a_batch(draw: Draw, kind: TargetKind) -> None:
    x_a, x_b = draw(*SHAPE), draw(*SHAPE, seed=1)
    high, low = torch.tensor([1.0, 0.9]), torch.tensor([0.96, 0.8])
    whole = forward_kl_target(x_a, x_b, high, low, kind)
    for index in range(2):
        alone = forward_kl_target(
            x_a[[index]], x_b[[index]], high[index].item(), low[index].item(), kind
        )
        torch.testing.assert_close(whole[[index]], alone)
    assert whole.dtype == torch.float32


def test_the_target_is_computed_in_double_precision() -> None:
    """In float32 the two close levels alone would cost three digits."""
    x_a = torch.full((1, 1, 1, 1, 1), 1 / 3)
    x_b = torch.full((1, 1, 1, 1, 1), 1 / 3 + 1e-4)
    expected = (x_b.double() - x_a.double()).item() / (0.625 - (0.625 + 1e-5))
    found = forward_kl_target(x_a, x_b, 0.625 + 1e-5, 0.625).item()
    assert math.isclose(found, expected, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: dmd_loss(x, x, x[:1]), "one shape"),
        (lambda x: dmd_loss(x, x, x, mask=torch.tensor(False)), "no value"),
        (lambda x: critic_loss(x, x[:, :1], x), "noise .* one shape"),
        (lambda x: forward_kl_loss(x, x[:, :1]), "one shape"),
        (lambda x: forward_kl_target(x, x, 0.5, 0.5), "sigma_a 0.5 must be above sigma_b 0.5"),
        (lambda x: forward_kl_target(x, x, 1.0, 0.5, "flow"), "kind 'flow' is unknown"),
    ],
)
def test_bad_input(draw: Draw, call: Callable[[torch.Tensor], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(draw(*SHAPE))
