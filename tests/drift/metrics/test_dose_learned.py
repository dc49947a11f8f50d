"""Stronger degradation never scores lower, for the learned metrics.

The two coherence metrics keep this with random weights, since both are distances of features of
any network. The two quality metrics are what people taught them: with random weights they may rise
or fall, so their tests need the published files and are left out without them.
"""

import itertools

import cv2
import numpy as np
import pytest

from drift.errors import UsageError
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import preset_v1
from drift.metrics.registry import METRICS
from drift.metrics.weights.local import require, weights_folder
from drift.score.score import score_metric

pytestmark = pytest.mark.numerics

RANDOM = MetricSettings(random_weights=True)
NUM_FRAMES = 10  # two a segment


def flicker(image, strength):
    """A still photograph under noise that is new in each frame and grows linearly."""
    rng = np.random.default_rng(0)
    frames = []
    for i in range(NUM_FRAMES):
        noisy = image + 60 * strength * i / (NUM_FRAMES - 1) * rng.normal(size=image.shape)
        frames.append(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
    return frames


def blur(image, strength):
    """A photograph that is blurred more and more."""
    sigmas = [0.01 + 4 * strength * i / (NUM_FRAMES - 1) for i in range(NUM_FRAMES)]
    return [cv2.GaussianBlur(image, (0, 0), sigma) for sigma in sigmas]


def score(frames, metric, settings, variant=None):
    values = METRICS[metric].new_metric(settings, variant)(frames)
    term = preset_v1().term(metric)
    return score_metric(values, METRICS[metric], term, NUM_FRAMES, 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "variant", "sign"), [("lpips", "alex", 1), ("dino_coherence", "vit-s", -1)]
)
def test_growing_flicker_never_scores_lower(pan, metric, variant, sign):
    image = pan("coffee", 1, 64, 96)[0]
    parts = [score(flicker(image, s), metric, RANDOM, variant) for s in (0.0, 0.25, 0.5, 1.0)]
    changes = [sign * part.slope for part in parts]
    assert changes[0] == pytest.approx(0, abs=1e-9)  # a still video; a cosine rounds at 1e-16
    assert all(a < b for a, b in itertools.pairwise(changes))
    drifts = [part.drift for part in parts]
    assert drifts == sorted(drifts)
    assert {part.label for part in parts[1:]} == {"flickering"}


@pytest.mark.weights
@pytest.mark.parametrize("metric", ["musiq", "clip_iqa"])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_growing_blur_never_scores_lower(pan, metric, name):
    try:
        require(METRICS[metric].variant().weights, weights_folder())
    except UsageError as error:
        pytest.skip(str(error))
    image = pan(name, 1, 240, 320)[0]
    parts = [score(blur(image, s), metric, MetricSettings()) for s in (0.0, 0.3, 0.6, 1.0)]
    drifts = [part.drift for part in parts]
    assert drifts == sorted(drifts)
    assert parts[-1].label == "degrading"
