"""The preset and the registry: data that cannot drift apart unseen."""

import dataclasses
import math

import pytest

from drift import ScoreConfig, UsageError
from drift.preset import Preset, PresetTerm, preset_v1
from drift.registry import FAST, METRICS


def test_preset_v1_is_a_sixth_a_metric_and_a_third_a_family():
    families: dict[str, float] = {}
    for term in preset_v1().terms:
        assert term.weight == pytest.approx(1 / 6)
        families[term.family] = families.get(term.family, 0) + term.weight
    assert families == pytest.approx({"quality": 1 / 3, "coherence": 1 / 3, "low-level": 1 / 3})


def test_weights_are_rescaled_over_what_is_present():
    assert preset_v1().weights(FAST) == pytest.approx({"saturation": 0.5, "sharpness": 0.5})
    assert preset_v1().missing(FAST) == ("musiq", "clip_iqa", "dino_coherence", "lpips")


def test_the_hash_depends_on_every_constant():
    preset = preset_v1()
    first = preset.terms[0]
    other = dataclasses.replace(first, scale=first.scale * 1.01)
    changed = dataclasses.replace(preset, terms=(other, *preset.terms[1:]))
    assert len({preset.sha256, changed.sha256}) == 2
    assert preset.sha256 == preset_v1().sha256


def test_impossible_presets_are_refused():
    term = PresetTerm(metric="x", family="quality", scale=1.0, weight=0.5)
    with pytest.raises(ValueError, match="twice"):
        Preset(name="p", terms=(term, term))
    with pytest.raises(ValueError, match="sum to 1"):
        Preset(name="p", terms=(term,))
    with pytest.raises(ValueError, match="positive"):
        dataclasses.replace(term, scale=math.nan)


def test_every_built_in_metric_has_a_term():
    for name, spec in METRICS.items():
        assert spec.name == name
        assert spec.term.metric == name


def test_config_expands_groups_in_preset_order():
    assert ScoreConfig(metrics=("fast",)) == ScoreConfig(metrics=("sharpness", "saturation"))
    assert ScoreConfig().metrics == ("saturation", "sharpness")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metrics": ("blur",)}, "'blur' is unknown"),
        ({"metrics": ()}, "no metric"),
        ({"metrics": "saturation"}, "tuple"),
        ({"segments": 1}, "at least 2"),
        ({"segments": 2.5}, "whole number"),
    ],
)
def test_wrong_settings_are_named(arguments, words):
    with pytest.raises(UsageError, match=words):
        ScoreConfig(**arguments)
