"""DINO coherence against transformers and timm with the same weights, and cosines by hand."""

from dataclasses import replace

import pytest
import torch
from metric_tester import MetricTester
from safetensors.torch import save_file

from drift.metrics.dino_coherence import SIDE, SIZES, cosine, prepare
from drift.metrics.networks.dinov2 import Dinov2
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import preset_v1
from drift.metrics.registry import METRICS

pytestmark = pytest.mark.numerics

SETTINGS = MetricSettings(random_weights=True)


@pytest.mark.slow
class TestDinoCoherence(MetricTester):
    metric, variant = "dino_coherence", "vit-s"
    rounding = 1e-6
    still = 1.0


def test_cosine_by_hand():
    left = torch.tensor([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    right = torch.tensor([[0.0, 1.0], [1.0, 0.0], [5.0, 0.0]])
    assert cosine(left, right).tolist() == pytest.approx([0, 0.5**0.5, 1])


def test_input_is_square_with_mean_0():
    grey = torch.tensor([0.485, 0.456, 0.406])[:, None, None].expand(1, 3, 48, 83)
    inputs = prepare(grey)
    assert inputs.shape == (1, 3, SIDE, SIDE)
    assert inputs.abs().max() < 1e-5


def published_layout(width: int, heads: int, layers: int) -> Dinov2:
    """A small network with random weights; its scales are no ones, so that each is seen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = Dinov2(width, heads, layers).eval()
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.3 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize("side", [SIDE, 518])
def test_agrees_with_transformers_that_reads_the_same_file(tmp_path, side):
    transformers = pytest.importorskip("transformers")
    ours = published_layout(64, 4, 2)
    save_file(dict(ours.state_dict()), tmp_path / "model.safetensors", {"format": "pt"})
    transformers.Dinov2Config(
        hidden_size=64, num_attention_heads=4, num_hidden_layers=2, patch_size=14, image_size=518
    ).save_pretrained(tmp_path)
    other, report = transformers.Dinov2Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    pictures = torch.rand(2, 3, side, side)
    with torch.inference_mode():
        expected = other.eval()(pictures).last_hidden_state[:, 0]
        found = ours(pictures)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_agrees_with_timm_where_positions_are_not_resized():
    """The two resize positions differently, which moves a token by some percent."""
    timm = pytest.importorskip("timm")
    ours = published_layout(384, 6, 1)
    other = timm.create_model(
        "vit_small_patch14_dinov2", pretrained=False, depth=1, num_classes=0
    ).eval()
    state = {name.replace("encoder.layer.", "blocks."): v for name, v in ours.state_dict().items()}
    names = {
        "embeddings.cls_token": "cls_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "layernorm": "norm",
        "attention.output.dense": "attn.proj",
        "layer_scale1.lambda1": "ls1.gamma",
        "layer_scale2.lambda1": "ls2.gamma",
    }
    for kind in ("weight", "bias"):
        parts = [f"blocks.0.attention.attention.{p}.{kind}" for p in ("query", "key", "value")]
        state[f"blocks.0.attn.qkv.{kind}"] = torch.cat([state.pop(part) for part in parts])
    for old, new in names.items():
        state = {name.replace(old, new): value for name, value in state.items()}
    state.pop("embeddings.mask_token")
    other.load_state_dict(state)
    pictures = torch.rand(1, 3, 518, 518)
    with torch.inference_mode():
        torch.testing.assert_close(ours(pictures), other(pictures), rtol=1e-4, atol=1e-5)


def test_sizes_have_as_many_parameters_as_published():
    # facebook/dinov2-base and -small: 86.6 M and 22.1 M parameters.
    counts = {
        name: sum(p.numel() for p in Dinov2(*size, layers=1).parameters())
        for name, size in SIZES.items()
    }
    layer = {name: 12 * w * w + 13 * w + 2 * w for name, (w, _) in SIZES.items()}
    millions = {name: (counts[name] + 11 * layer[name]) / 1e6 for name in SIZES}
    assert millions == pytest.approx({"vit-b": 86.6, "vit-s": 22.1}, abs=0.05)


@pytest.mark.slow
def test_bfloat16_moves_a_value_by_little_of_the_scale(pan):
    clip = pan("coffee", 3, 48, 64)
    exact, rough = (
        METRICS["dino_coherence"].new_metric(replace(SETTINGS, dtype=dtype), "vit-s")(clip)
        for dtype in ("float32", "bfloat16")
    )
    assert rough != exact
    # docs/metrics.md: within 0.5 % of the change that counts as drift 1.
    scale = preset_v1().term("dino_coherence").scale
    assert rough == pytest.approx(exact, abs=0.005 * scale)
