"""LPIPS against the lpips package with the same random weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from metric_tester import MetricTester

from drift.files import file_sha256
from drift.metrics.lpips import Lpips, unit_features
from drift.metrics.lpips import lpips as distance
from drift.metrics.networks.loading import load_network, load_strict
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS
from drift.metrics.weights.local import WEIGHTS

pytestmark = pytest.mark.numerics

SETTINGS = MetricSettings(random_weights=True)


class TestLpips(MetricTester):
    metric = "lpips"
    rounding = 1e-5
    still = 0.0


def frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (height, width, 3)).astype(np.uint8) for _ in range(count)]


@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 50)])
def test_agrees_with_the_lpips_package(height, width):
    package = pytest.importorskip("lpips")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        reference = package.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    names = {f"slice{i + 1}.{n}": f"features.{n}" for i, n in enumerate((0, 3, 6, 8, 10))}
    state = {}
    for key, value in reference.state_dict().items():
        if key.startswith("net."):
            layer, _, kind = key.removeprefix("net.").rpartition(".")
            state[f"{names[layer]}.{kind}"] = value
        elif key.startswith("lin") and not key.startswith("lins"):
            state[key] = value  # published heads: pnet_rand leaves them as they are
    network = Lpips().eval()
    load_strict(network, state, "lpips")
    left, right = torch.rand(2, 2, 3, height, width)
    with torch.inference_mode():
        expected = reference(left, right, normalize=True).flatten()
        parts = [unit_features(network(x)) for x in (left, right)]
        found = distance(*parts, network.heads)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_published_heads_have_the_layout_of_ours():
    from drift.metrics.networks.reading import read_weights

    heads = read_weights("lpips-alex", None)
    ours = {n: v.shape for n, v in Lpips().state_dict().items() if n.startswith("lin")}
    assert {name: value.shape for name, value in heads.items()} == ours
    assert all((value >= 0).all() for value in heads.values())


def test_files_in_their_published_layout_are_loaded(tmp_path, monkeypatch):
    """torchvision's file with its classifier, and the heads, through the table and the hashes."""
    source = METRICS["lpips"].new_metric(SETTINGS)
    network = load_network(Lpips, dict, SETTINGS, "lpips")
    state = network.state_dict()
    trunk = {name: value for name, value in state.items() if name.startswith("features.")}
    heads = {name: value for name, value in state.items() if name.startswith("lin")}
    files = {
        "alexnet": {**trunk, "classifier.6.bias": torch.zeros(1000)},
        "lpips-alex": heads,
    }
    for name, tensors in files.items():
        path = tmp_path / WEIGHTS[name].file
        torch.save(tensors, path)
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=file_sha256(path)[:8]))
    loaded = METRICS["lpips"].new_metric(MetricSettings(weights_dir=tmp_path))
    assert loaded(frames(3)) == source(frames(3))
