"""The model table: complete, free of contradictions, and equal to the releases' numbers."""

import dataclasses

import pytest

from baselines.lengths import find_length
from baselines.registry import MODELS, UnknownModelError, find_model
from baselines.spec import Length, ModelSpec, Setting

# Rows of the paper's Table 1, in its order.
PAPER = {
    "bidirectional": ["ltx-video", "wan2.1-1.3b"],
    "autoregressive": ["nova", "pyramid-flow", "skyreels-v2-1.3b", "magi-1-4.5b"],
    "distilled": ["causvid", "self-forcing", "causal-forcing", "hiar"],
}
IN_PAPER = [spec for spec in MODELS if spec.in_paper]
DISTILLED = [spec for spec in MODELS if spec.release is not None]


def test_keys_and_groups_are_the_papers() -> None:
    assert [spec.key for spec in IN_PAPER] == [key for keys in PAPER.values() for key in keys]
    for kind, keys in PAPER.items():
        assert [spec.key for spec in IN_PAPER if spec.kind == kind] == keys
    assert list(MODELS[: len(IN_PAPER)]) == IN_PAPER


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
def test_distilled_lengths_follow_from_the_latent_frames(spec: ModelSpec) -> None:
    """4 (n - 1) + 1 frames of n; a window of 21 that shares 3 leaves 72 of its 81."""
    sampler = spec.sampler
    assert sampler is not None
    for length in spec.lengths:
        if "windows" in length.arguments:
            windows = length.arguments["windows"]
            assert isinstance(windows, int)
            assert length.frames_made == 72 * windows
            assert 72 * (windows - 1) < length.num_frames <= 72 * windows
        else:
            latent_frames = length.arguments["latent_frames"]
            assert isinstance(latent_frames, int)
            assert length.num_frames == 4 * (latent_frames - 1) + 1
            assert latent_frames % sampler.frames_per_block == 0


@pytest.mark.parametrize("spec", DISTILLED, ids=lambda spec: spec.key)
def test_a_chunk_is_a_block(spec: ModelSpec) -> None:
    assert spec.release == spec.key
    assert spec.sampler is not None
    assert spec.chunk_frames == 4 * spec.sampler.frames_per_block


def test_cache_rules_are_the_releases() -> None:
    """Window, sink and rule, as each model's code has them; the others see 21 frames."""
    rules = {
        "longlive": (12, 3, "sink"),
        "longlive-infinity": (12, 3, "aligned-sink"),
        "infinity-rope": (6, 1, "aligned-sink"),
        "reward-forcing": (9, 3, "averaged-sink"),
    }
    for spec in DISTILLED:
        assert spec.sampler is not None
        found = (spec.sampler.window, spec.sampler.sink, spec.sampler.policy.name)
        assert found == rules.get(spec.key, (21, 0, "window"))


def test_a_setting_without_a_source_is_refused() -> None:
    for source in ("", " "):
        with pytest.raises(ValueError, match="sink_size 3: a setting has a source"):
            Setting(name="sink_size", value=3, source=source)


def test_longlive_brings_its_lora() -> None:
    paths = [file.path for file in find_model("longlive").weights]
    assert paths[:2] == ["models/longlive_base.pt", "models/lora.pt"]


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.key)
def test_20_s_are_20_s(spec: ModelSpec) -> None:
    """Whoever reaches the paper's length writes a video of 20 s, to a latent frame."""
    if spec.reaches_20_s:
        assert 20 <= find_length(spec, 20).num_frames / spec.fps <= 20.1


def test_skyreels_lengths_are_whole_windows() -> None:
    """97 frames, then 80 a window: the pipeline rounds any other length up itself."""
    for length in find_model("skyreels-v2-1.3b").lengths:
        assert (length.frames_made - 97) % 80 == 0
        assert 0 <= length.frames_made - length.num_frames <= 16


@pytest.mark.parametrize(
    "spec", [s for s in MODELS if s.command is not None], ids=lambda spec: spec.key
)
def test_timed_lengths_differ_by_whole_chunks(spec: ModelSpec) -> None:
    assert spec.command is not None
    assert spec.chunk_frames is not None
    short, long = spec.command.timing_lengths
    assert long in spec.lengths
    assert (long.num_frames - short.num_frames) % spec.chunk_frames == 0


# Timesteps that each release feeds its model, to the digits given: 1000 s u / (1 + (s - 1) u) with
# u = step / 1000; by hand for s = 5, u = 0.75: 3.75 / 4 = 0.9375; for s = 8: 6 / 6.25 = 0.96.
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("causvid", (1000.0, 960.0, 888.9, 727.3)),
        ("self-forcing", (1000.0, 937.5, 833.3, 625.0)),
        ("causal-forcing", (1000.0, 937.5, 833.3, 625.0)),
        ("causal-forcing-framewise", (1000.0, 937.5, 833.3, 625.0)),
        ("longlive", (1000.0, 937.5, 833.3, 625.0)),
        ("longlive-infinity", (1000.0, 937.5, 833.3, 625.0)),
        ("infinity-rope", (1000.0, 937.5, 833.3, 625.0)),
        ("reward-forcing", (1000.0, 937.5, 833.3, 625.0)),
        ("hiar", (1000.0, 937.5, 833.3, 625.0)),
    ],
)
def test_step_list_and_shift_give_the_releases_timesteps(
    key: str, expected: tuple[float, ...]
) -> None:
    sampler = find_model(key).sampler
    assert sampler is not None
    assert sampler.warp
    s = sampler.shift
    timesteps = [1000 * s * u / (1 + (s - 1) * u) for u in (step / 1000 for step in sampler.steps)]
    assert timesteps == pytest.approx(expected, abs=0.05)


def test_only_hiar_is_step_first() -> None:
    samplers = {spec.key: spec.sampler for spec in DISTILLED}
    orders = {key: (found.order, found.context) for key, found in samplers.items() if found}
    assert orders.pop("hiar") == ("step_first", "output")
    assert set(orders.values()) == {("block_first", "clean")}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"key": "Has Space"}, "lower case"),
        ({"release": None}, "has a release"),
        ({"overlap": 2}, "whole blocks"),
        ({"lengths": ()}, "must rise"),
        ({"weights": ()}, "are empty"),
        ({"chunk_frames": None}, "has no chunks"),
        ({"how": "external command"}, "has a command"),
    ],
)
def test_contradicting_specs_are_errors(change: dict[str, object], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(find_model("hiar"), **change)


def test_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'hair'.*ltx-video.*hiar"):
        find_model("hair")


def test_a_cut_never_adds_frames() -> None:
    with pytest.raises(ValueError, match="480 frames cannot be cut from 360"):
        Length(num_frames=480, made_frames=360)
