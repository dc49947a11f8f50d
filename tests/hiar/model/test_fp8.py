"""8-bit feed-forward products: how far rounding may go, and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hiar.errors import UsageError
from hiar.model import fp8
from hiar.model.fp8 import Fp8Linear, hardware_product, quantise_rows, use_fp8_feed_forward
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sampler import sample_latents

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]


def test_rows_keep_their_largest_element_and_zeros(draw: Draw) -> None:
    x = draw(5, 32) * torch.tensor([1e-6, 1.0, 1e6, 0.0, 3.0])[:, None]
    rounded, scale = quantise_rows(x)
    back = rounded.float() * scale
    assert torch.equal(back[3], torch.zeros(32))
    for row, found in zip(x, back, strict=True):
        # e4m3 has three bits after the leading one: half a step is 2^-4 of a normal number, and
        # 2^-10 below the least normal one, 2^-6, whatever the row's size.
        largest = row.abs().max()
        limit = torch.maximum(row.abs() * 2**-4, largest / fp8.LARGEST * 2**-10)
        assert ((found - row).abs() <= limit * 1.001).all()


def test_a_layer_is_near_the_plain_one(draw: Draw, relative_l2: Callable[..., float]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 48).bfloat16().requires_grad_(False)
    x = draw(2, 7, 64).bfloat16()
    found = Fp8Linear(layer)(x)
    assert (found.dtype, found.shape) == (torch.bfloat16, (2, 7, 48))
    # Rounding is uniform within 2^-4 of each factor, so 2^-4 / sqrt(3) each at most; two factors.
    assert 0 < relative_l2(found, layer(x)) < 2**-4 / 3**0.5 * 2**0.5


def test_a_video_in_8_bits_differs_little(
    make_model: Callable[..., CausalWan], draw: Draw, relative_l2: Callable[..., float]
) -> None:
    model = make_model(dim=32, ffn_dim=64).bfloat16()
    config = SamplerConfig(order="step_first", window=6, steps=(1000, 500))
    noise, text = draw(1, 9, 4, 4, 6), draw(1, 3, 8)
    expected = sample_latents(model, text, noise, config)
    use_fp8_feed_forward(model)
    found = sample_latents(model, text, noise, config)
    assert 0 < relative_l2(found, expected) < 0.2


@pytest.mark.parametrize(
    ("sizes", "dtype", "words"),
    [
        ({"dim": 32, "ffn_dim": 64}, torch.float32, "the model is float32"),
        ({"dim": 24, "ffn_dim": 64}, torch.bfloat16, "dim 24"),
        ({"dim": 32, "ffn_dim": 40}, torch.bfloat16, "ffn_dim 40"),
    ],
)
def test_what_does_not_fit_is_one_line(
    make_model: Callable[..., CausalWan], sizes: dict[str, int], dtype: torch.dtype, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        use_fp8_feed_forward(make_model(**sizes).to(dtype))


def test_the_product_that_a_gpu_is_asked_for_compiles_and_is_the_emulated_one() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 48, dtype=torch.bfloat16)
    rounded, x = Fp8Linear(layer), torch.randn(32, 64, dtype=torch.bfloat16)
    rows, scale = quantise_rows(x)
    compiled = torch.compile(hardware_product, fullgraph=True, backend="eager")
    found = compiled(rows, scale, rounded.weight, rounded.scale, torch.bfloat16) + layer.bias
    torch.testing.assert_close(found, rounded(x), rtol=1e-2, atol=1e-2)  # bfloat16 has 8 bits
