from importlib.resources import files
from pathlib import Path

import pytest

from baselines.lengths import find_length
from drift.errors import UsageError
from hiar.tiny.study import STUDY_ROWS
from reports.paper.spec import SPEC_SCHEMA, Preset, load_preset, read_spec
from reports.records.study_record import StudentsRecord
from reports.tables import TABLES

SHIPPED = files("reports").joinpath("paper/spec.toml").read_text(encoding="utf-8")
PRESETS = ("tiny", "smoke", "quick", "field", "paper")


def changed(old: str, new: str) -> dict[str, Preset]:
    assert old in SHIPPED
    return read_spec(SHIPPED.replace(old, new, 1))


def test_tiny_has_the_paper_s_length_and_window() -> None:
    preset = load_preset("tiny")
    # 4 (81 - 1) + 1 = 321 frames at 16 fps: 20 s, and a window of 21 latent frames: 5 s.
    assert {preset.sample.num_frames(run) for run in preset.runs} == {321}
    assert preset.sample.window == 21
    assert {run.order for run in preset.runs} == {"block_first", "step_first"}


@pytest.mark.parametrize("name", ["tiny", "paper"])
def test_the_run_of_every_published_row_is_in_the_preset(name: str) -> None:
    preset = load_preset(name)
    runs = {
        sources[row.id].run
        for table in preset.tables
        for sources in (TABLES[table].sources[preset.scale],)
        for row in TABLES[table].published.rows
        if row.id in sources
    }
    known = {run.name for run in preset.runs}
    if preset.scale == "tiny":  # the study's record has them all; some are sampled anew
        known |= {StudentsRecord.run_prefix + row.name for row in STUDY_ROWS}
    assert runs
    assert runs <= known


def test_paper_has_all_prompts_and_seeds() -> None:
    preset = load_preset("paper")
    counts = {s.prompts.name: s.prompts.count * len(s.seeds) for s in preset.samples}
    assert counts == {"vbench": 4730, "moviegen-128": 128}


def test_lengths_are_those_that_each_model_supports() -> None:
    # 5 s for bidirectional models; NOVA and Pyramid Flow have no setting for 20 s.
    sample = load_preset("paper").sample
    frames = {run.name: sample.num_frames(run) for run in load_preset("paper").runs}
    assert frames["ltx-video"] == 121
    assert frames["wan2.1-1.3b"] == 81
    assert frames["nova"] == 33
    assert frames["pyramid-flow"] == 121
    assert frames["magi-1-4.5b"] == 480
    assert 480 <= frames["skyreels-v2-1.3b"] <= 497  # of 497 made, 481 may be kept
    assert frames["hiar"] == frames["causvid"] == frames["no-retraining"] == 321


def test_field_s_videos_are_the_lengths_that_its_models_make() -> None:
    preset = load_preset("field")
    frames = {run.name: preset.sample.num_frames(run) for run in preset.runs}
    assert frames.pop("reward-forcing") == 477
    assert set(frames.values()) == {957}
    for run in preset.runs:
        if run.tool == "baselines":  # what `generate` will look up
            length = find_length(run.baseline, run.seconds or preset.sample.seconds)
            assert length.num_frames == preset.sample.num_frames(run)


@pytest.mark.parametrize("name", PRESETS)
def test_shipped_prompt_files_have_as_many_lines_as_the_spec_says(name: str) -> None:
    for sample in load_preset(name).samples:
        if sample.prompts.shipped:
            package, _, path = sample.prompts.file.partition("/")
            text = files(package).joinpath(path).read_text(encoding="utf-8")
            assert len(text.splitlines()) == sample.prompts.count
        else:
            assert sample.prompts.get


def test_captions_costs_and_gpus_do_not_change_a_preset_s_hash() -> None:
    before = load_preset("tiny").sha256
    assert (
        changed("[costs.tiny]\nframes_per_s = ", "[costs.tiny]\nframes_per_s = 1")["tiny"].sha256
        == before
    )
    assert changed("Measured numbers are marked", "Numbers are")["tiny"].sha256 == before
    assert changed("latent_frames = 81 ", "latent_frames = 84 ")["tiny"].sha256 != before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('runs = ["tiny-self-forcing", "tiny-hiar"]', 'runs = ["nothing"]',
         "presets.smoke.runs: 'nothing' is unknown; choose from tiny-hiar"),
        ('runs = ["tiny-hiar", "tiny-self-forcing"]', 'runs = ["nothing"]',
         "presets.tiny: lengths: 'nothing' is not in its runs"),
        ("num_prompts = 8", "num_prompts = 17", "num_prompts 17 must lie in 1 to 16"),
        ("40.0, 60.0]", "40.0, 61.0]", "must be lengths up to 60.5625 s, that of the videos of"),
        ("30.0, 59.8]", "30.0, 60.0]", "must be lengths up to 59.8125 s, that of the videos of"),
        ('model = "nova"', 'model = "novas"', "runs.nova: unknown model 'novas'; choose one of"),
        ('metrics = ["fast"]', 'metrics = ["blur"]', "score: .*blur"),
        ('prompts = "tiny-heldout"', 'prompts = "none"',
         "presets.tiny.samples.prompts: 'none' is unknown; choose from tiny-heldout"),
        ('cost = "nova"', 'cost = "x"', "runs.nova.cost: 'x' is unknown"),
        ('order = "block_first"', 'ordr = "block_first"', "key 'ordr'; did you mean 'order'"),
        ('tool = "hiar"', 'tool = "drill"', "tool is 'drill'; it should be 'hiar' or 'baselines'"),
        ("seconds = 2.75", "seconds = 20.0", "runs.nova: 20 s is longer than NOVA supports"),
        ("count = 16", 'count = "16"', "prompts.tiny-heldout.count is '16'"),
        ('scale = "tiny"', 'scale = "huge"', "scale is 'huge'; it should be 'tiny' or 'paper'"),
        ('schema = "reports-spec/2"', 'schema = "other/1"', "schema is 'other/1'"),
        ("[costs.tiny]", "[cost.tiny]", "unknown key 'cost'; did you mean 'costs'"),
        ("[costs.tiny]", "[costs.tiny", "spec: .*; it must be TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_spec_is_named_in_one_line(old: str, new: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        preset = changed(old, new)["paper"]
        [sample.num_frames(run) for sample in preset.samples for run in preset.runs]
    assert "\n" not in str(error.value)


def test_videos_must_be_made_of_the_prompts_that_are_scored() -> None:
    text = SHIPPED.replace('[presets.tiny.score]\nprompts = "tiny-heldout"',
                           '[presets.tiny.score]\nprompts = "quick"')  # fmt: skip
    assert text != SHIPPED
    with pytest.raises(UsageError, match=r"presets.tiny: score: no videos are made of.*'quick'"):
        read_spec(text)


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="choose from tiny, smoke, quick, field, paper"):
        load_preset("huge")


def test_a_spec_of_one_s_own(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(SHIPPED.replace("[presets.tiny", "[presets.mine"), encoding="utf-8")
    assert load_preset("mine", path).runs == load_preset("tiny").runs
    with pytest.raises(UsageError, match="No such file or directory; give a TOML file"):
        load_preset("mine", tmp_path / "none.toml")
    assert SPEC_SCHEMA in SHIPPED
