"""CLIP-IQA against pyiqa's with the same random weights; its parts against plain definitions."""

import numpy as np
import pytest
import torch
from metric_tester import MetricTester
from torch import nn

from drift.metrics.clip_iqa import END, PROMPTS, START, clip_iqa
from drift.metrics.networks.clip import AttentionPool, Clip, PictureTower, fold_norms
from drift.metrics.networks.loading import load_strict
from drift.metrics.networks.reading import read_openai

pytestmark = pytest.mark.numerics


@pytest.mark.slow
class TestClipIqa(MetricTester):
    metric, variant = "clip_iqa", "paper-pair"
    rounding = 1e-5


@pytest.fixture(scope="module")
def pyiqa_metric():
    """pyiqa's CLIP-IQA around its own CLIP with random weights; nothing is downloaded."""
    arch = pytest.importorskip("pyiqa.archs.clipiqa_arch")
    model = pytest.importorskip("pyiqa.archs.clip_model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        sizes = (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12)
        clip = model.CLIP(*sizes).float().eval()
        for module in clip.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.data.uniform_(0.5, 1.2)
                module.bias.data.normal_(0, 0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arch, "load", lambda *_, **__: clip)
        metric = arch.CLIPIQA(model_type="clipiqa").eval()
    return metric, clip


@pytest.fixture(scope="module")
def ours(pyiqa_metric):
    network = Clip().eval()
    load_strict(network, pyiqa_metric[1].state_dict(), "clip_iqa")
    return network


def texts(variant: str) -> list[tuple[int, ...]]:
    return [(START, *text, END) for pair in PROMPTS[variant].values() for text in pair]


@pytest.mark.slow
def test_agrees_with_pyiqa_and_folding_norms_changes_nothing(pyiqa_metric, ours):
    pictures = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected = pyiqa_metric[0](pictures).flatten()
        text_features = ours.encode_texts(texts("five-pairs")).unflatten(0, (-1, 2))
        plain = clip_iqa(ours.visual(pictures), text_features, ours.logit_scale.exp())
        tower = fold_norms(ours.visual)
        folded = clip_iqa(tower(pictures), text_features, ours.logit_scale.exp())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in tower.modules())
    torch.testing.assert_close(plain, expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(folded, expected, rtol=1e-4, atol=0)


def test_tokens_are_those_of_open_clip():
    open_clip = pytest.importorskip("open_clip")
    tokenize = open_clip.get_tokenizer("RN50")
    for pairs in PROMPTS.values():
        for words, numbers in pairs.items():
            for text, tokens in zip(words, numbers, strict=True):
                expected = tokenize([text])[0]
                whole = [START, *tokens, END]
                assert expected[: len(whole)].tolist() == whole
                assert not expected[len(whole) :].any()


def test_one_query_pool_equals_full_attention():
    pool = AttentionPool().eval()
    x = torch.rand(2, 2048, 2, 3)
    with torch.inference_mode():
        places = x.flatten(2).transpose(1, 2)
        tokens = torch.cat((places.mean(1, keepdim=True), places), 1)
        maps = (pool.q_proj, pool.k_proj, pool.v_proj)
        parts = [m(tokens).unflatten(-1, (32, 64)).transpose(1, 2) for m in maps]
        full = nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        torch.testing.assert_close(pool(x), pool.c_proj(full[:, 0]), rtol=1e-4, atol=1e-5)


def test_score_is_the_share_of_the_good_text():
    # One picture along the good text, orthogonal to the bad one: softmax(10, 0).
    texts = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    score = clip_iqa(torch.tensor([[5.0, 0.0]]), texts, torch.tensor(10.0))
    assert score.item() == pytest.approx(1 / (1 + np.exp(-10)), rel=1e-6)
    between = clip_iqa(torch.tensor([[1.0, 1.0]]), texts, torch.tensor(10.0))
    assert between.item() == pytest.approx(0.5)


def test_tower_takes_any_size_from_32():
    tower = PictureTower().eval()
    with torch.inference_mode():
        for size in ((32, 32), (33, 70)):
            assert tower(torch.rand(1, 3, *size)).shape == (1, 1024)


@pytest.mark.slow
def test_the_prompts_matter(ours):
    features = torch.rand(1, 1024, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor(9)
    with torch.inference_mode():
        five, pair = (
            clip_iqa(features, ours.encode_texts(texts(name)).unflatten(0, (-1, 2)), scale)
            for name in ("five-pairs", "paper-pair")
        )
    assert abs(five - pair) > 1e-5  # random texts are nearly alike; float32 rounds at 1e-7


def test_openai_file_gives_weights_in_float32_without_its_sizes(monkeypatch):
    stored = {
        "input_resolution": torch.tensor(224),
        "context_length": torch.tensor(77),
        "vocab_size": torch.tensor(49408),
        "visual.conv1.weight": torch.ones(32, 3, 3, 3, dtype=torch.float16),
    }
    monkeypatch.setattr("drift.metrics.networks.reading.read_weights", lambda *_: stored)
    found = read_openai("clip-rn50", None)
    assert {name: value.dtype for name, value in found.items()} == {
        "visual.conv1.weight": torch.float32
    }
