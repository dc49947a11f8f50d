import pytest

from drift.errors import UsageError
from reports.spec import SPEC_SCHEMA, RunSpec, from_table, load_preset, read_spec

RUN = {"name": "a", "label": "a", "order": "block_first", "context": "clean"}


def test_shipped_spec_has_the_paper_s_length_and_window() -> None:
    preset = load_preset("tiny")
    # 4 (81 - 1) + 1 = 321 frames at 16 fps: 20 s, and a window of 21 latent frames: 5 s.
    assert preset.sample.latent_frames == 81
    assert preset.sample.window == 21
    assert {run.order for run in preset.runs} == {"block_first", "step_first"}


def test_unknown_key_is_named() -> None:
    with pytest.raises(UsageError, match="unknown key 'contxt'"):
        from_table(RunSpec, {**RUN, "contxt": "clean"}, "presets.x.runs")


def test_missing_key_is_named() -> None:
    with pytest.raises(UsageError, match="'order' is missing"):
        from_table(RunSpec, {k: v for k, v in RUN.items() if k != "order"}, "presets.x.runs")


def test_wrong_type_is_refused() -> None:
    with pytest.raises(UsageError, match=r"presets\.x\.runs\.name: 3 is no str"):
        from_table(RunSpec, {**RUN, "name": 3}, "presets.x.runs")


def test_unknown_top_level_key_and_schema_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown key 'preset'"):
        read_spec(f'schema = "{SPEC_SCHEMA}"\n[preset.tiny]\n')
    with pytest.raises(UsageError, match="schema is"):
        read_spec('schema = "other/1"\n')


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="choose from tiny"):
        load_preset("huge")
