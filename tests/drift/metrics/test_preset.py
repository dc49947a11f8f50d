"""The preset and the registry: data that cannot drift apart unseen."""

import dataclasses
import json
import math

import pytest

from drift import ScoreConfig, UsageError
from drift.metrics.preset import Preset, PresetTerm, dump_preset, load_preset, preset_v1
from drift.metrics.registry import EXPOSURE, FAST, METRICS


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
        assert preset_v1().term(name).metric == name


def test_config_expands_groups_in_preset_order():
    assert ScoreConfig(metrics=("fast",)) == ScoreConfig(metrics=("sharpness", "saturation"))
    assert ScoreConfig().metrics == (*FAST, *EXPOSURE, "difference")


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


def test_a_preset_file_comes_back_and_a_changed_one_is_refused(tmp_path):
    terms = (PresetTerm(metric="saturation", family="low-level", scale=0.3, weight=1.0),)
    preset, path = Preset(name="mine", terms=terms), tmp_path / "mine.json"
    data = dump_preset(preset, {"method": "by hand"})
    path.write_text(json.dumps(data))
    assert load_preset(path) == preset
    data["terms"][0]["scale"] = 0.4
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="was changed after it was written"):
        load_preset(path)
    del data["sha256"]
    path.write_text(json.dumps(data))
    assert load_preset(path).term("saturation").scale == 0.4
    assert load_preset("v1") == preset_v1()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no preset"),
        ("[]", "its schema is not 'drift-preset/1'"),
        ('{"schema": "drift-preset/1", "name": "x"}', "key 'terms' is missing"),
        ('{"schema": "drift-preset/1", "name": "x", "terms": [{"colour": 1}]}', "key 'colour'"),
        ('{"schema": "drift-preset/1", "name": "x", "terms": []}', "do not sum to 1"),
    ],
)
def test_what_is_no_preset_is_said(tmp_path, text, words):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        load_preset(tmp_path / "p.json")
    with pytest.raises(UsageError, match="no such file"):
        load_preset(tmp_path / "absent.json")


def test_a_preset_names_what_it_cannot_score():
    terms = tuple(
        PresetTerm(metric=metric, family="x", scale=1.0, weight=weight)
        for metric, weight in (("lpips", 1.0), ("saturation", 0.0))
    )
    preset = Preset(name="mine", terms=terms)
    preset.check_covers(("lpips", "saturation"))
    with pytest.raises(UsageError, match="no scale for sharpness"):
        preset.check_covers(("lpips", "sharpness"))
    with pytest.raises(UsageError, match="no weight to saturation; measure lpips too"):
        preset.check_covers(("saturation",))
    assert preset.missing(("lpips",)) == ()  # what has no weight is not missed
