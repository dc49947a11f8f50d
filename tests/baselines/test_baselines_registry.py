"""The model table: complete, free of contradictions, and equal to the releases' numbers."""

import dataclasses

import pytest

from baselines.registry import MODELS, UnknownModelError, find_model
from baselines.spec import Distilled, ModelSpec

# Rows of the paper's Table 1, in its order.
PAPER = {
    "bidirectional": ["ltx-video", "wan2.1-1.3b"],
    "autoregressive": ["nova", "pyramid-flow", "skyreels-v2-1.3b", "magi-1-4.5b"],
    "distilled": ["causvid", "self-forcing", "causal-forcing", "hiar"],
}
DISTILLED = [spec for spec in MODELS if spec.distilled is not None]


def test_keys_and_groups_are_the_papers() -> None:
    assert [spec.key for spec in MODELS] == [key for keys in PAPER.values() for key in keys]
    for kind, keys in PAPER.items():
        assert [spec.key for spec in MODELS if spec.kind == kind] == keys


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.key)
def test_spec_is_complete(spec: ModelSpec) -> None:
    assert find_model(spec.key) is spec
    assert spec.licence
    assert all(setting.source for setting in spec.settings)
    assert all(file.repo.count("/") == 1 for file in spec.weights)
    assert len({(file.repo, file.path) for file in spec.weights}) == len(spec.weights)
    assert not any(file.path.startswith("/") or ".." in file.path for file in spec.weights)


def test_who_reaches_20_s() -> None:
    short = {"ltx-video", "wan2.1-1.3b", "nova", "pyramid-flow"}
    assert {spec.key for spec in MODELS if not spec.reaches_20_s} == short


@pytest.mark.parametrize("spec", DISTILLED, ids=lambda spec: spec.key)
def test_distilled_lengths_are_whole_blocks(spec: ModelSpec) -> None:
    assert spec.distilled is not None
    for length in spec.lengths:
        latent_frames, rest = divmod(length.num_frames - 1, 4)
        assert rest == 0
        assert (latent_frames + 1) % spec.distilled.frames_per_block == 0


# Timesteps that each release feeds its model, to the digits given: 1000 s u / (1 + (s - 1) u) with
# u = step / 1000; by hand for s = 5, u = 0.75: 3.75 / 4 = 0.9375; for s = 8: 6 / 6.25 = 0.96.
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("causvid", (1000.0, 960.0, 888.9, 727.3)),
        ("self-forcing", (1000.0, 937.5, 833.3, 625.0)),
        ("causal-forcing", (1000.0, 937.5, 833.3, 625.0)),
        ("hiar", (1000.0, 937.5, 833.3, 625.0)),
    ],
)
def test_step_list_and_shift_give_the_releases_timesteps(
    key: str, expected: tuple[float, ...]
) -> None:
    sampler = find_model(key).distilled
    assert sampler is not None
    assert sampler.warp
    s = sampler.shift
    timesteps = [1000 * s * u / (1 + (s - 1) * u) for u in (step / 1000 for step in sampler.steps)]
    assert timesteps == pytest.approx(expected, abs=0.05)


def test_only_hiar_is_step_first() -> None:
    orders = {spec.key: (spec.distilled.order, spec.distilled.context) for spec in DISTILLED}
    assert orders.pop("hiar") == ("step_first", "output")
    assert set(orders.values()) == {("block_first", "clean")}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"steps": ()}, "must fall"),
        ({"steps": (250, 500)}, "must fall"),
        ({"steps": (1000, 0)}, "must fall"),
        ({"context": "output"}, "clean context"),
        ({"window": 20}, "whole blocks"),
    ],
)
def test_contradicting_samplers_are_errors(change: dict[str, object], rule: str) -> None:
    sampler = Distilled(state_dict_keys=("generator",), source="test")
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(sampler, **change)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"key": "Has Space"}, "lower case"),
        ({"distilled": None}, "has a sampler"),
        ({"lengths": ()}, "must rise"),
        ({"weights": ()}, "are empty"),
    ],
)
def test_contradicting_specs_are_errors(change: dict[str, object], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(find_model("hiar"), **change)


def test_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'hair'.*ltx-video.*hiar"):
        find_model("hair")
