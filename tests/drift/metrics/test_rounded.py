"""Weights rounded once: the same products as autocast's, on any CPU."""

import pytest
import torch
from torch import nn

from drift.metrics.networks.dinov2 import Dinov2, Layer
from drift.metrics.networks.rounded import PackedLinear, can_pack, pack_linears, round_weights
from drift.metrics.networks.settings import MetricSettings

pytestmark = pytest.mark.numerics

CPU = MetricSettings()
HALF = torch.bfloat16


def new_layer() -> Layer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Layer(64, 4).eval().requires_grad_(False)


def run(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode(), torch.autocast("cpu", dtype=HALF):
        return network(x)


def test_rounded_weights_give_what_autocast_gives():
    x, plain, rounded = torch.randn(2, 9, 64), new_layer(), new_layer()
    round_weights(rounded, HALF)
    assert rounded.mlp["fc1"].weight.dtype == HALF
    assert rounded.norm1.weight.dtype == torch.float32
    assert torch.equal(run(rounded, x), run(plain, x))


def test_float32_leaves_a_network_as_it_is():
    layer = new_layer()
    round_weights(layer, torch.float32)
    pack_linears(layer, CPU, torch.float32, rows=9)
    expected = new_layer().state_dict()
    assert layer.state_dict().keys() == expected.keys()
    assert all(torch.equal(layer.state_dict()[name], expected[name]) for name in expected)


def test_another_device_keeps_its_layers():
    layer = new_layer()
    pack_linears(layer, MetricSettings(device="cuda"), HALF, rows=9)
    assert layer.state_dict().keys() == new_layer().state_dict().keys()


@pytest.mark.skipif(not can_pack(HALF), reason="this CPU has no packed product in bfloat16")
@pytest.mark.parametrize("rows", [1, 257])
def test_a_packed_layer_is_rounded_once(rows):
    linear = nn.Linear(48, 32)
    x = torch.randn(1, rows, 48).to(HALF)
    weight, bias = (p.data.to(HALF).double() for p in (linear.weight, linear.bias))
    with torch.inference_mode():
        found = PackedLinear(linear, HALF, 257)(x)
    assert found.dtype == HALF
    # half a step of 8 bits of mantissa; float32 sums of 48 products near 0
    expected = nn.functional.linear(x.double(), weight, bias)
    torch.testing.assert_close(found.double(), expected, rtol=2.0**-8, atol=1e-5)


def test_a_network_made_ready_computes_the_same():
    x, plain, ready = torch.randn(1, 9, 64), new_layer(), new_layer()
    round_weights(ready, HALF)
    pack_linears(ready, CPU, HALF, rows=9)  # changes nothing on a CPU that cannot
    # Sums in another order: some results are rounded to the neighbouring number.
    torch.testing.assert_close(run(ready, x), run(plain, x), rtol=0.02, atol=0.02)


def test_a_resized_table_of_positions_is_that_of_each_picture():
    plain, resized = Dinov2(64, 4, layers=1).eval(), Dinov2(64, 4, layers=1).eval()
    resized.load_state_dict(plain.state_dict())
    resized.embeddings.resize(4, 4)
    picture = torch.rand(1, 3, 56, 56)
    with torch.inference_mode():
        assert torch.equal(resized(picture), plain(picture))
