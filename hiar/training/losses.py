"""The losses of distillation as pure functions of predictions.

Source: HiAR release (2026-06-19), model/dmd.py and the forward-KL ("pd") branch of its trainer;
the paper's Eq. 5 (DMD, reverse KL) and Eq. 10 (forward KL).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch.nn import functional

from hiar.errors import UsageError

TargetKind = Literal["velocity", "x0"]


def dmd_loss(
    x0: torch.Tensor,
    real_x0: torch.Tensor,
    fake_x0: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distribution matching: pull x0 from where the fake score sees it to where the real one does.

    The gradient of the loss is `grad / (number of values)`; its value is half the mean square of
    `grad`, which says how far the two scores are apart and need not fall.

    Args:
        x0: The generator's prediction [B, F, C, H, W].
        real_x0: What the teacher makes of x0 with noise added; no gradient reaches it.
        fake_x0: What the critic makes of x0 with the same noise.
        mask: Values of x0 that count, bool, broadcast over x0; None counts all.

    Returns:
        The loss, a float64 scalar, and `grad` like x0: the difference of the scores over each
        video's mean distance from the teacher's prediction.

    Raises:
        UsageError: If the shapes differ or no value counts.
    """
    if not x0.shape == real_x0.shape == fake_x0.shape:
        raise UsageError(
            f"x0 {tuple(x0.shape)}, real_x0 {tuple(real_x0.shape)} and fake_x0 "
            f"{tuple(fake_x0.shape)} must have one shape"
        )
    with torch.no_grad():
        scale = (x0 - real_x0).abs().mean(dim=tuple(range(1, x0.ndim)), keepdim=True)
        grad = torch.nan_to_num((fake_x0 - real_x0) / scale)
        target = x0.double() - grad.double()
    squares = (x0.double() - target).square()
    if mask is None:
        return 0.5 * squares.mean(), grad
    counted = squares[mask.expand_as(squares)]
    if not counted.numel():
        raise UsageError("the mask leaves no value of x0 to count")
    return 0.5 * counted.mean(), grad


def critic_loss(flow: torch.Tensor, noise: torch.Tensor, x0: torch.Tensor) -> torch.Tensor:
    """Flow matching of the critic on the generator's videos: mean of (flow - (noise - x0))^2.

    Args:
        flow: Predicted flow of x0 with noise added [B, F, C, H, W].
        noise, x0: The noise that was added and the video it was added to.

    Returns:
        A scalar of the dtype of `flow`.
    """
    _check_same_shape("flow", flow, "x0", x0)
    _check_same_shape("noise", noise, "x0", x0)
    return (flow - (noise - x0)).square().mean()


def forward_kl_target(
    x_a: torch.Tensor,
    x_b: torch.Tensor,
    sigma_a: float | torch.Tensor,
    sigma_b: float | torch.Tensor,
    kind: TargetKind = "velocity",
) -> torch.Tensor:
    """What the student should predict at x_a so that one Euler step takes it to x_b.

    Args:
        x_a, x_b: Consecutive points of a teacher's trajectory [B, F, C, H, W].
        sigma_a, sigma_b: Their noise levels, numbers or [B], with sigma_a > sigma_b.
        kind: `velocity` is the chord's slope (Eq. 10); `x0` is where the chord reaches sigma 0
            (the release), which is not the end of the trajectory.

    Returns:
        Like x_a; computed in float64.

    Raises:
        UsageError: For an unknown kind, or levels that do not fall.
    """
    if kind not in get_args(TargetKind):
        raise UsageError(f"kind {kind!r} is unknown: use one of {', '.join(get_args(TargetKind))}")
    _check_same_shape("x_a", x_a, "x_b", x_b)
    high, low = (_per_video(sigma, x_a) for sigma in (sigma_a, sigma_b))
    if not bool((high > low).all()):
        raise UsageError(f"sigma_a {sigma_a} must be above sigma_b {sigma_b}")
    slope = (x_b.double() - x_a.double()) / (low - high)
    target = slope if kind == "velocity" else x_a.double() - high * slope
    return target.to(x_a.dtype)


def forward_kl_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error to the teacher's step; a scalar of the dtype of `prediction`."""
    _check_same_shape("prediction", prediction, "target", target)
    return functional.mse_loss(prediction, target)


def _per_video(sigma: float | torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A level as float64 that broadcasts over x: one for all, or one a video."""
    levels = torch.as_tensor(sigma, dtype=torch.float64, device=x.device)
    return levels.reshape(-1, *(1,) * (x.ndim - 1))


def _check_same_shape(name: str, x: torch.Tensor, other: str, y: torch.Tensor) -> None:
    if x.shape != y.shape:
        raise UsageError(
            f"{name} {tuple(x.shape)} and {other} {tuple(y.shape)} must have one shape"
        )
