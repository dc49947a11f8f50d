"""The sigmoid form of the tanh GELU against its formula in float64, and where it is used."""

import math

import pytest
import torch

from hiar.model.activation import FeedForward, TanhGELU, has_fused_gelu, linear_gelu, sigmoid_gelu

pytestmark = pytest.mark.numerics


def by_formula(x: torch.Tensor) -> torch.Tensor:
    x = x.double()
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def test_the_sigmoid_form_equals_the_formula() -> None:
    x = torch.cat((torch.linspace(-60, 60, 20_001), torch.tensor([0.0, 1e-30, -1e-30])))
    # atol: one rounding of factors near 1 times |x| up to about 6 where the tail is not yet 0
    torch.testing.assert_close(sigmoid_gelu(x).double(), by_formula(x), rtol=1e-6, atol=1e-6)


def test_bfloat16_is_rounded_once() -> None:
    x = torch.linspace(-8, 8, 4001).bfloat16()
    assert sigmoid_gelu(x).dtype == torch.bfloat16
    # half a step of 8 bits of mantissa
    torch.testing.assert_close(
        sigmoid_gelu(x).double(), by_formula(x), rtol=2.0**-8, atol=1e-6, check_dtype=False
    )


def test_gradients_go_through_pytorchs_own() -> None:
    x = torch.linspace(-3, 3, 11, requires_grad=True)
    y = x * 2
    TanhGELU()(y).sum().backward()
    expected = torch.autograd.functional.jacobian(by_formula, (2 * x).detach().double())
    torch.testing.assert_close(x.grad.double(), 2 * expected.diagonal(), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not has_fused_gelu(), reason="this CPU has no fused product in bfloat16")
def test_gelu_inside_a_product_is_rounded_once() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, 48, generator=generator).bfloat16() for n in (40, 64))
    bias = torch.randn(64, generator=generator).bfloat16()
    expected = by_formula(torch.nn.functional.linear(x.double(), weight.double(), bias.double()))
    found = linear_gelu(x, weight, bias)
    assert found.dtype == torch.bfloat16
    # half a step of 8 bits of mantissa; float32 sums of 48 products near 0
    torch.testing.assert_close(found.double(), expected, rtol=2.0**-8, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_feed_forward_computes_the_same_with_and_without_gradients(dtype: torch.dtype) -> None:
    layer = FeedForward(16, 64)
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    expected = layer(x)
    with torch.no_grad():
        found = layer.to(dtype)(x.to(dtype))
    assert found.dtype == dtype
    # float32: another form of the same function. bfloat16: a sum of 64 terms, each rounded.
    tolerance = 1e-5 if dtype == torch.float32 else 2.0**-6
    torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=tolerance)
