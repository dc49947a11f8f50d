import dataclasses
from typing import Any

import pytest

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.sampling.config import SamplerConfig


def test_defaults_are_the_release() -> None:
    assert dataclasses.asdict(SamplerConfig()) == {
        "steps": (1000, 750, 500, 250), "warp": True, "shift": 5.0, "frames_per_block": 3,
        "order": "step_first", "context": "output", "stochastic": True, "window": None, "sink": 0,
        "cache": None, "block_first_steps": 0, "block_first_blocks": 0, "wave_batch": False,
        "context_noise": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": "row_first"}, "order 'row_first' is unknown: use one of block_first"),
        ({"context": "noisy"}, "context 'noisy' is unknown"),
        ({"order": "block_first"}, "use context='clean'"),
        ({"order": "block_first", "context": "input"}, "use context='clean'"),
        ({"steps": ()}, "at least one"),
        ({"steps": (1001, 500)}, r"in \(0, 1000\]"),
        ({"steps": (500, 0)}, r"in \(0, 1000\]"),
        ({"steps": (float("nan"),)}, r"in \(0, 1000\]"),
        ({"steps": (500, 750)}, "must fall"),
        ({"steps": (500, 500)}, "must fall"),
        ({"steps": (937.5, 500)}, "whole"),
        ({"shift": 0.0}, "shift 0.0 must be above 0"),
        ({"frames_per_block": 0}, "frames_per_block 0"),
        ({"window": 2}, "window 2 must hold"),
        ({"window": 5, "sink": 3}, "window 5 must hold"),
        ({"sink": 3}, "needs a window"),
        ({"window": 9, "sink": -1}, "sink -1"),
        ({"order": "hybrid"}, "needs at least 1 of either"),
        ({"order": "hybrid", "block_first_steps": 5}, "there are 4 steps"),
        ({"order": "hybrid", "block_first_blocks": -1}, "needs at least 1 of either"),
        ({"block_first_blocks": 1}, "belong to order 'hybrid', not 'step_first'"),
        ({"context_noise": 500.0}, "use context='clean'"),
        ({"context": "clean", "context_noise": 1000.0}, "context_noise 1000"),
        ({"context": "clean", "context_noise": float("nan")}, "context_noise nan"),
        ({"wave_batch": True}, "use order 'diagonal'"),
    ],
)
def test_wrong_sampler_settings_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SamplerConfig(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"order": "block_first", "context": "clean"},
        {"window": 3},
        {"window": 6, "sink": 3},
        {"steps": (937.5, 0.5), "warp": False},
        {"steps": (1,)},
    ],
)
def test_settings_at_the_edge_are_taken(change: dict[str, Any]) -> None:
    config = SamplerConfig(**change)
    assert {name: getattr(config, name) for name in change} == change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_heads": 5}, "dim 48 over 5 heads"),
        ({"num_heads": 16}, "whole, even width"),
        ({"freq_dim": 31}, "freq_dim 31 must be even"),
        ({"patch_size": (2, 2, 2)}, "one latent frame"),
    ],
)
def test_wrong_model_sizes_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        WanConfig(**({"dim": 48, "ffn_dim": 96, "num_heads": 3, "num_layers": 2} | change))


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(TypeError, match="windows"):
        SamplerConfig(windows=21)  # type: ignore[call-arg]


def test_configs_are_frozen() -> None:
    for config, name in ((SamplerConfig(), "window"), (WanConfig.tiny(), "dim")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, name, 3)


@pytest.mark.parametrize(
    ("config", "head_dim"),
    [
        (WanConfig.wan_1_3b(), 128),
        (WanConfig.wan_14b(), 128),
        (WanConfig.tiny(), 28),
        (WanConfig.bench_cpu(), 64),
    ],
)
def test_head_width(config: WanConfig, head_dim: int) -> None:
    assert config.head_dim == head_dim
