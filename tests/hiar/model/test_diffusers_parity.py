"""The same weights in diffusers' own Wan transformer give the same flow."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel

from hiar.model.config import WanConfig
from hiar.weights.checkpoint import load_transformer

pytestmark = pytest.mark.numerics


@pytest.mark.parametrize(
    ("num_heads", "head_dim", "num_layers"), [(3, 16, 3), (2, 24, 2), (4, 32, 4)]
)
@torch.no_grad()
def test_flow_equals_diffusers(
    tmp_path: Path,
    randomise: Callable[[torch.nn.Module, int], None],
    draw: Callable[..., torch.Tensor],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
    num_heads: int,
    head_dim: int,
    num_layers: int,
) -> None:
    reference = WanTransformer3DModel(
        num_attention_heads=num_heads, attention_head_dim=head_dim, num_layers=num_layers,
        ffn_dim=96, freq_dim=32, text_dim=20, in_channels=16, out_channels=16,
    ).eval()  # fmt: skip
    randomise(reference, 1)
    reference.save_pretrained(tmp_path)
    config = WanConfig(
        dim=num_heads * head_dim, ffn_dim=96, num_heads=num_heads, num_layers=num_layers,
        freq_dim=32, text_dim=20, text_len=16,
    )  # fmt: skip
    model = load_transformer(tmp_path, config)
    latents, text = draw(2, 5, 16, 8, 12), draw(2, 16, 20, seed=1)
    timesteps = torch.tensor([7.0, 3.0])
    expected = reference(latents.transpose(1, 2), timesteps, text, return_dict=False)[0]
    assert relative_l2(model(latents, timesteps, text), expected.transpose(1, 2)) <= 1e-5


@pytest.mark.slow
@torch.no_grad()
def test_a_block_at_real_sizes_equals_diffusers(
    randomise: Callable[[torch.nn.Module, int], None],
    draw: Callable[..., torch.Tensor],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
) -> None:
    """A layer of the 1.3B model on one block of 480 x 832 px: 4,680 tokens, 512 of text."""
    full = WanConfig.wan_1_3b()
    reference = WanTransformer3DModel(
        num_attention_heads=full.num_heads, attention_head_dim=full.head_dim, num_layers=1,
        ffn_dim=full.ffn_dim, freq_dim=full.freq_dim, text_dim=full.text_dim, in_channels=16,
        out_channels=16,
    ).eval()  # fmt: skip
    randomise(reference, 1)
    model = load_transformer(reference.state_dict(), replace(full, num_layers=1))
    latents, text = draw(1, 3, 16, 60, 104), draw(1, 512, 4096, seed=1)
    timesteps = torch.tensor([937.5])
    expected = reference(latents.transpose(1, 2), timesteps, text, return_dict=False)[0]
    assert relative_l2(model(latents, timesteps, text), expected.transpose(1, 2)) <= 1e-5
