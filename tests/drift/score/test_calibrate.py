"""Calibration: planted presets come back, closed forms of the reference, and the command."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift import ScoreConfig, UsageError, score_folder
from drift.metrics.preset import load_preset, preset_v1
from drift.record.summary import score_videos
from drift.record.tables import write_frames
from drift.score.calibrate import Published, check_valid, published_preset, reference_preset

pytestmark = pytest.mark.numerics

METRICS = ("musiq", "lpips", "saturation")


def model_values(changes, num_frames=50):
    """Videos whose metrics change by `changes` (videos, metrics), in units of preset v1's scale."""
    steps = np.repeat(np.arange(5) / 4, num_frames // 5)
    return {
        f"{i:02}.mp4": {
            name: preset_v1().term(name).scale * (1 + row[k] * steps)
            for k, name in enumerate(METRICS)
        }
        for i, row in enumerate(changes)
    }


@pytest.fixture
def scores(make_run):
    return lambda changes: score_videos(make_run(model_values(changes)), preset_v1())


def test_scales_of_a_reference_are_multiples_of_its_rms_change(scores):
    changes = np.array([[0.1, -0.2, 0.02], [-0.3, 0.4, 0.04], [0.5, 0.1, -0.06]])
    preset = reference_preset("mine", scores(changes), base=preset_v1(), multiple=5.0)
    rms = np.sqrt(np.square(changes).mean(axis=0))
    for name, expected in zip(METRICS, 5 * rms, strict=True):
        assert preset.term(name).scale == pytest.approx(expected * preset_v1().term(name).scale)
        assert preset.term(name).weight == pytest.approx(1 / 3)
        assert preset.term(name).family == preset_v1().term(name).family


def test_metrics_beside_the_score_stay_beside_it(make_run):
    values = model_values([[0.1, -0.2, 0.02], [-0.3, 0.4, 0.04]])
    plain = score_videos(make_run(values), preset_v1())
    beside = {path: {**series, "clipped": [0.0] * 50} for path, series in values.items()}
    scored = score_videos(make_run(beside), preset_v1())
    assert reference_preset("mine", scored, base=preset_v1()) == reference_preset(
        "mine", plain, base=preset_v1()
    )
    targets = [[Published(name="m", scores=each, target=0.3)] for each in (scored, plain)]
    fitted = [published_preset("mine", models, base=preset_v1()) for models in targets]
    assert fitted[0] == fitted[1]


def test_a_normal_reference_scores_about_016_of_itself(scores, make_run):
    changes = 0.05 * np.random.default_rng(0).normal(size=(400, 3))
    preset = reference_preset("mine", scores(changes), base=preset_v1())
    again = score_videos(make_run(model_values(changes)), preset)
    # E|z| / 5 = 0.1596; 1200 values leave 0.0035.
    assert np.mean([s.score for s in again]) == pytest.approx(np.sqrt(2 / np.pi) / 5, abs=0.011)


def test_a_metric_that_never_changes_gives_no_scale(scores):
    with pytest.raises(UsageError, match="lpips does not change in any video"):
        reference_preset("mine", scores([[0.1, 0.0, 0.1]]), base=preset_v1())
    with pytest.raises(UsageError, match="multiple is -1"):
        reference_preset("mine", scores([[0.1, 0.1, 0.1]]), base=preset_v1(), multiple=-1.0)


@settings(max_examples=15)
@given(
    st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    st.floats(0.4, 3),
    st.integers(0, 1000),
)
def test_planted_weights_and_factor_come_back(raw, factor, seed):
    # Ten models, no clipping: the score is sum w |change| / factor, which fixes w and the factor.
    weights = np.array(raw) / sum(raw)
    changes = np.random.default_rng(seed).uniform(0.01, 0.3, size=(10, 3))
    models = [
        Published(name=str(i), scores=fake_scores([row]), target=float(weights @ row / factor))
        for i, row in enumerate(changes)
    ]
    preset, fit = published_preset("mine", models, base=preset_v1())
    assert not fit["underdetermined"]
    assert fit["rms_error"] < 1e-3
    # The pull of 1e-3 towards equal weights moves them by about its square over the spread of
    # the drifts (0.1 squared, times ten models).
    found = [preset.term(name).weight for name in METRICS]
    np.testing.assert_allclose(found, weights, atol=0.01)
    assert fit["scale_factor"] == pytest.approx(factor, rel=0.01)


def fake_scores(changes):
    """Scores without a run, since Hypothesis calls no fixture twice."""
    from drift.score.score import score_video

    return [
        score_video(path, path, values, preset=preset_v1(), num_frames=50, num_segments=5)
        for path, values in model_values(changes).items()
    ]


def test_a_weight_that_would_be_negative_is_0():
    # The score falls as lpips rises: the best weight that is not negative is 0.
    changes = [[0.1, 0.9, 0.1], [0.5, 0.5, 0.5], [0.9, 0.1, 0.9]]
    models = [
        Published(name=str(i), scores=fake_scores([row]), target=row[0])
        for i, row in enumerate(changes)
    ]
    preset, fit = published_preset("mine", models, base=preset_v1())
    assert preset.term("lpips").weight < 1e-6
    assert preset.term("musiq").weight == pytest.approx(0.5, abs=1e-3)  # tied with saturation
    assert (fit["rank"], fit["underdetermined"]) == (2, True)


def test_two_scores_leave_three_weights_open_and_stay_near_the_base():
    models = [
        Published(name="a", scores=fake_scores([[0.3, 0.2, 0.4]]), target=0.355),
        Published(name="b", scores=fake_scores([[0.7, 0.9, 0.8]]), target=0.842),
    ]
    preset, fit = published_preset("mine", models, base=preset_v1())
    assert (fit["rank"], fit["unknowns"], fit["underdetermined"]) == (2, 3, True)
    assert [m["reproduced"] for m in fit["models"]] == pytest.approx([0.355, 0.842], abs=1e-3)
    # Exact fits with factor f solve D w = f y and sum w = 1: a line a + f b. Its point nearest to
    # equal weights is at f = -b (a - 1/3) / b b. The pull gives up about 1e-4 of fit.
    system = np.array([[0.3, 0.2, 0.4], [0.7, 0.9, 0.8], [1, 1, 1]])
    b, a = np.linalg.solve(system, [0.355, 0.842, 0]), np.linalg.solve(system, [0, 0, 1])
    factor = -b @ (a - 1 / 3) / (b @ b)
    expected = a + factor * b
    assert expected.min() > 0
    np.testing.assert_allclose([preset.term(n).weight for n in METRICS], expected, atol=0.02)
    assert fit["scale_factor"] == pytest.approx(factor, rel=0.02)


def test_nothing_that_changes_gives_no_fit():
    models = [Published(name="a", scores=fake_scores([[0, 0, 0]]), target=0.3)]
    with pytest.raises(UsageError, match="no metric changes"):
        published_preset("mine", models, base=preset_v1())


def test_a_run_with_random_weights_gives_no_preset():
    check_valid("a", {"weights": {}})
    with pytest.raises(UsageError, match="a is INVALID: random"):
        check_valid("a", {"invalid": "INVALID: random weights"})


@pytest.fixture
def runs(make_run, tmp_path):
    for name, size in (("self-forcing", 0.355), ("causvid", 0.842)):
        changes = size * np.random.default_rng(len(name)).uniform(0.8, 1.2, size=(6, 3))
        (tmp_path / name).mkdir()
        write_frames(tmp_path / name / "frames.parquet", make_run(model_values(changes)))
    return tmp_path


@pytest.mark.parametrize("flags", [1, 2])
def test_published_scores_to_a_preset_that_reproduces_them(runs, command, flags):
    out, models = runs / "paper.json", ("self-forcing=0.355", "causvid=0.842")
    once, apart = ("--published", *models), [w for m in models for w in ("--published", m)]
    given = once if flags == 1 else apart
    code, text, _ = command("calibrate", *given, "--runs", runs, "--out", out)
    assert code == 0
    assert "underdetermined: 2 independent scores for 3 weights" in text
    preset = load_preset(out)
    assert preset.name == "paper"
    assert json.loads(out.read_text())["sha256"] == preset.sha256 != preset_v1().sha256
    summary = json.loads(command("report", runs / "causvid", "--preset", out, "--json")[1])
    assert summary["preset"] == {"name": "paper", "sha256": preset.sha256}
    assert summary["drift_score"]["value"] == pytest.approx(0.842, abs=2e-3)
    assert not summary["drift_score"]["partial"]
    again = json.loads(command("report", runs / "causvid", "--json")[1])
    assert again["drift_score"] == summary["drift_score"]  # the run keeps its preset
    compare = ("compare", runs / "self-forcing", runs / "causvid", "--pair-by", "name")
    code, _, error = command(*compare)
    assert (code, error.count("\n")) == (2, 1)
    assert "different presets" in error
    code, text, _ = command(*compare, "--preset", out)
    assert code == 0
    assert "preset paper" in text


def test_a_folder_of_videos_is_a_reference(clips, command, tmp_path, monkeypatch):
    monkeypatch.setattr("drift.run.executors.default_workers", lambda *_: 1)
    out = tmp_path / "ref.json"
    code, text, _ = command(
        "calibrate", "--reference", clips, "--out", out, "--metrics", "saturation"
    )
    assert code == 0
    assert "the reference scores" in text
    assert load_preset(out).metrics == ("saturation",)
    one, preset = ScoreConfig(metrics=("saturation",)), load_preset(out)
    result = score_folder(clips, out=tmp_path / "run", config=one, preset=preset, progress=None)
    own = json.loads(out.read_text())["origin"]["reference_score"]
    assert result.drift_score == pytest.approx(own)
    with pytest.raises(UsageError, match="no scale for sharpness"):
        score_folder(clips, out=tmp_path / "no", preset=preset, progress=None)
    assert not (tmp_path / "no").exists()


def test_wrong_use_is_one_line(runs, command):
    out = runs / "x.json"
    for arguments, words in (
        (["--published", "causvid"], "give RUN=SCORE"),
        (["--published", "causvid=1.2"], "give RUN=SCORE with a score above 0"),
        (["--published", "absent=0.3"], "no such file"),
        (["--published", "causvid=0.3", "--published", "causvid=0.4"], "is given twice"),
        (["--published", "causvid=0.3", "--multiple", "3"], "--multiple goes with --reference"),
        (["--published", "causvid=0.3", "--name", "v1"], "v1 is taken"),
        (["--reference", runs / "causvid", "--metrics", "dino_coherence"], "has no dino_coherence"),
        ([], "one of the arguments --reference --published is required"),
    ):
        code, text, error = command("calibrate", *arguments, "--runs", runs, "--out", out)
        assert (code, text, error.count("\n")) == (2, "", 1), error
        assert words in error
        assert not out.exists()
