"""Winograd's convolution against a direct one in float64."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from drift.metrics.networks.settings import MetricSettings
from drift.metrics.networks.winograd import (
    BAND_TILES,
    MIN_CHANNELS,
    TILE,
    WinogradConv2d,
    use_winograd,
)

pytestmark = pytest.mark.numerics

CPU = MetricSettings()


def random_conv(channels: int, width: int, *, bias: bool = True) -> nn.Conv2d:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(channels + width)
        return nn.Conv2d(channels, width, 3, padding=1, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (2, 9), (4, 4), (5, 3), (13, 22), (TILE * 3, TILE * BAND_TILES)]
)
def test_equals_a_direct_convolution(height, width, bias):
    conv = random_conv(5, 7, bias=bias)
    pictures = torch.randn(2, 5, height, width, generator=torch.Generator().manual_seed(0))
    ours = WinogradConv2d(conv)(pictures)
    exact = functional.conv2d(
        pictures.double(),
        conv.weight.double(),
        conv.bias.double() if bias else None,
        padding=1,
    )
    assert ours.shape == exact.shape
    # Sums of inputs weighted up to 5 and of products up to 8: about ten roundings of float32.
    assert (ours - exact).abs().max() < 1e-5 * exact.abs().max()


def test_is_exact_in_float64():
    """The points and sums are right, not merely close: only rounding is left."""
    conv = random_conv(3, 4).double()
    pictures = torch.randn(1, 3, 9, 10, dtype=torch.float64)
    torch.testing.assert_close(
        WinogradConv2d(conv)(pictures), conv(pictures), rtol=1e-12, atol=1e-12
    )


def test_an_impulse_gives_the_kernel_turned_round():
    conv = random_conv(1, 1, bias=False)
    pictures = torch.zeros(1, 1, 7, 7)
    pictures[0, 0, 3, 3] = 1
    around = WinogradConv2d(conv)(pictures)[0, 0, 2:5, 2:5]
    torch.testing.assert_close(around, conv.weight[0, 0].flip(0, 1), rtol=1e-5, atol=1e-6)


def layers() -> nn.Sequential:
    wide, narrow = MIN_CHANNELS, MIN_CHANNELS // 2
    return nn.Sequential(
        nn.Conv2d(wide, wide, 3, padding=1),
        nn.Conv2d(wide, wide, 3, padding=1, stride=2),
        nn.Conv2d(wide, wide, 1),
        nn.Conv2d(wide, wide, 3),
        nn.Conv2d(wide, wide, 3, padding=1, groups=2),
        nn.Conv2d(wide, narrow, 3, padding=1),
        nn.Sequential(nn.Conv2d(narrow, narrow, 3, padding=1)),
    )


def test_only_wide_plain_convolutions_are_replaced():
    network = layers()
    use_winograd(network, CPU, torch.float32)
    assert [type(layer) for layer in network[:6]] == [WinogradConv2d] + 5 * [nn.Conv2d]
    assert type(network[6][0]) is nn.Conv2d


@pytest.mark.parametrize(
    ("settings", "dtype"),
    [(CPU, torch.bfloat16), (MetricSettings(device="cuda"), torch.float32)],
)
def test_nothing_is_replaced_where_it_does_not_pay(settings, dtype):
    network = layers()
    use_winograd(network, settings, dtype)
    assert not any(isinstance(layer, WinogradConv2d) for layer in network.modules())
