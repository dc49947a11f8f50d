"""MUSIQ against pyiqa's network with the same random weights, and the parts with closed forms."""

import pytest
import torch
from metric_tester import MetricTester
from torch import Tensor

from drift.metrics.musiq import shrink
from drift.metrics.networks.loading import load_strict
from drift.metrics.networks.musiq import Musiq, StandardisedConv, hashed_positions, pad_same, views

pytestmark = pytest.mark.numerics


class TestMusiq(MetricTester):
    metric = "musiq"
    rounding = 1e-5


@pytest.fixture(scope="module")
def pyiqa_network():
    """pyiqa's class with random weights, biases and norms too."""
    arch = pytest.importorskip("pyiqa.archs.musiq_arch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = arch.MUSIQ(pretrained=False).eval()
        for name, parameter in network.named_parameters():
            if parameter.ndim == 1 or name.endswith("cls"):
                parameter.data += 0.3 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize(("height", "width"), [(64, 96), (37, 100), (50, 33)])
def test_agrees_with_pyiqa(pyiqa_network, height, width):
    ours = Musiq().eval()
    load_strict(ours, pyiqa_network.state_dict(), "musiq")
    pictures = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height))
    with torch.inference_mode():
        expected, found = pyiqa_network(pictures).flatten(), ours(pictures)
    # float32 through 14 layers; with float64 the two agree to 1e-7.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
    assert abs(expected[0] - expected[1]) / abs(expected[0]) > 1e-3  # the input matters


def test_kernels_have_mean_0_and_deviation_1():
    kernel = StandardisedConv(3, 4, 7, bias=False).kernel()
    torch.testing.assert_close(kernel.mean(dim=(1, 2, 3)), torch.zeros(4), rtol=0, atol=1e-6)
    deviation = kernel.std(dim=(1, 2, 3), correction=0)
    torch.testing.assert_close(deviation, torch.ones(4), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padded"),
    [(32, 7, 2, 37), (16, 3, 2, 17), (64, 32, 32, 64), (37, 32, 32, 64), (8, 3, 1, 10)],
)
def test_padding_gives_the_ceiling(size, kernel, stride, padded):
    out = pad_same(torch.ones(1, 1, size, size), kernel, stride)
    assert out.shape == (1, 1, padded, padded)
    assert (padded - kernel) // stride + 1 == -(-size // stride)
    assert out.sum() == size * size


def test_positions_hash_any_size_into_the_table():
    # By hand, 2 rows and 4 columns into 10 x 10: rows 0, 5; columns 0, 2, 5, 7.
    assert hashed_positions(2, 4).tolist() == [0, 2, 5, 7, 50, 52, 55, 57]
    assert hashed_positions(15, 26).max() == 99


def test_views_keep_the_aspect_ratio():
    shapes = [tuple(view.shape[-2:]) for view in views(torch.zeros(1, 3, 480, 832))]
    assert shapes == [(129, 224), (222, 384), (480, 832)]


def test_spaq_variant_shrinks_as_vbench_does():
    pictures = torch.rand(1, 3, 480, 832)
    assert shrink(pictures, 512).shape == (1, 3, 295, 512)  # int(480 * 512 / 832) = int(295.4)
    assert shrink(pictures, 832) is pictures


def test_a_checkpoint_that_does_not_fit_names_the_tensor(pyiqa_network):
    state: dict[str, Tensor] = dict(pyiqa_network.state_dict())
    state["head.weights"] = state.pop("head.weight")
    state["gn_root.bias"] = torch.zeros(3)
    words = r"musiq .*missing \(head.weight\).*unknown \(head.weights"
    with pytest.raises(ValueError, match=words) as info:
        load_strict(Musiq(), state, "musiq (koniq)")
    assert "gn_root.bias is (3,), not (64,)" in str(info.value)
