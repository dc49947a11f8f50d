"""Comparisons: pairs, closed forms, refusals in one line, and the command as a user runs it."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from drift import UsageError
from drift.compare.comparable import NamedRun
from drift.compare.comparison import compare_runs
from drift.compare.pairing import pair_videos
from drift.metrics.preset import Preset, PresetTerm, preset_v1
from drift.record.tables import write_frames

pytestmark = pytest.mark.numerics

SCALE = 0.15  # of saturation in preset v1


def ramp(drift: float, num_frames: int = 50) -> list[float]:
    """Saturation whose drift in preset v1 is exactly that: equal steps from segment to segment."""
    return np.repeat(0.2 + drift * SCALE * np.arange(5) / 4, num_frames // 5).tolist()


@pytest.fixture
def model(make_run):
    """A run from the wanted drift of each video; prompts are `p<name>` unless given."""

    def build(name, drifts, prompts=None, sharp=None, num_frames=50, **settings):
        values = {}
        for video, drift in drifts.items():
            values[f"{video}.mp4"] = {"saturation": ramp(drift, num_frames)}
            if sharp is not None:
                log = np.log(2) * np.array(ramp(sharp[video], num_frames)) / SCALE
                values[f"{video}.mp4"]["sharpness"] = np.exp(3 + log).tolist()
        named = {f"{v}.mp4": p for v, p in (prompts or {v: f"p{v}" for v in drifts}).items()}
        return NamedRun(name=name, data=make_run(values, prompts=named, **settings))

    return build


def test_a_difference_has_its_closed_forms(model):
    a = {f"{i:02}": 0.5 for i in range(12)}
    b = {f"{i:02}": 0.25 + 0.02 * i for i in range(12)}
    result = compare_runs([model("a", a), model("b", b)])
    entry = result["comparisons"][0]["score"]
    change = np.array([b[k] - a[k] for k in a])
    assert (result["pair_by"], result["pairs"], result["prompts"]) == ("prompt", 12, 12)
    assert entry["baseline"] == pytest.approx(0.5)
    assert entry["run"] == pytest.approx(np.mean(list(b.values())))
    assert entry["difference"] == pytest.approx(change.mean())
    assert entry["percent"] == pytest.approx(100 * change.mean() / 0.5)
    # The baseline is the same in every video, so the percentages are the differences rescaled.
    assert entry["percent_ci95"] == pytest.approx([200 * bound for bound in entry["ci95"]])
    assert entry["effect_size_dz"] == pytest.approx(change.mean() / change.std(ddof=1))
    assert entry["share_baseline_lower"] == 0  # 0.25 ... 0.47 against 0.5
    assert entry["p"] == pytest.approx(2 / 2**12)
    assert entry["p_holm"] == entry["p"]
    theirs = stats.bootstrap(
        (change,), np.mean, n_resamples=20_000, method="percentile", rng=0
    ).confidence_interval
    # Two Monte Carlo quantiles of 10 000 draws: about 2 % of the width each.
    width = theirs.high - theirs.low
    assert entry["ci95"] == pytest.approx([theirs.low, theirs.high], abs=0.05 * width)


def test_the_papers_27_6_percent(model):
    hiar, forcing = {"a": 0.257, "b": 0.257}, {"a": 0.355, "b": 0.355}
    entry = compare_runs([model("f", forcing), model("h", hiar)])["comparisons"][0]["score"]
    assert entry["percent"] == pytest.approx(-27.6, abs=0.05)


def test_equal_runs_do_not_differ(model):
    drifts = {f"{i}": 0.1 * i for i in range(6)}
    entry = compare_runs([model("a", drifts), model("b", drifts)])["comparisons"][0]["score"]
    assert (entry["difference"], entry["ci95"], entry["p"]) == (0, [0, 0], 1)
    assert (entry["effect_size_dz"], entry["share_baseline_lower"]) == (None, 0.5)


def test_seeds_of_a_prompt_are_one_pair(model):
    prompts = {"0": "cat", "1": "cat", "2": "dog"}
    a = model("a", {"0": 0.1, "1": 0.3, "2": 0.6}, prompts)
    b = model("b", {"7": 0.4, "8": 0.8}, {"7": "cat", "8": "dog"})
    result = compare_runs([a, b])
    assert (result["pairs"], result["prompts"]) == (2, 2)
    # cat: 0.2 and 0.4, dog: 0.6 and 0.8
    assert result["comparisons"][0]["score"]["difference"] == pytest.approx(0.2)
    assert result["runs"][0]["score"] == pytest.approx(0.4)


def test_pairs_by_name_of_one_prompt_are_one_cluster(model):
    prompts = {"0": "cat", "1": "cat", "2": "dog"}
    runs = [
        model(n, {"0": 0.1 + d, "1": 0.3, "2": 0.6}, prompts) for n, d in (("a", 0), ("b", 0.3))
    ]
    result = compare_runs(runs, pair_by="name")
    assert (result["pairs"], result["prompts"]) == (3, 2)
    assert result["comparisons"][0]["score"]["difference"] == pytest.approx(0.1)


def test_what_has_no_partner_is_listed_and_in_no_number(model):
    a = model("a", {"0": 0.2, "1": 0.9, "2": 0.4})
    b = model("b", {"0": 0.3, "2": 0.5, "3": 0.9})
    c = model("c", {"0": 0.1, "2": 0.1, "1": 0.1})
    result = compare_runs([a, b, c], pair_by="name")
    assert result["unpaired"] == {"a": ["1.mp4"], "b": ["3.mp4"], "c": ["1.mp4"]}
    assert [run["score"] for run in result["runs"]] == pytest.approx([0.3, 0.4, 0.1])
    assert [entry["pair"] for entry in result["comparisons"][1]["most_different"]] == ["2", "0"]


def test_names_pair_only_if_the_user_says_so(model):
    a, b = model("a", {"0": 0.2}), model("b", {"0": 0.3})
    assert pair_videos([a.data, b.data]).by == "prompt"
    bare = model("c", {"0": 0.3}, prompts={"x": ""})
    assert pair_videos([a.data, bare.data], "name").names == ("0",)
    with pytest.raises(UsageError, match=r"1 of 2 videos have no prompt .*0\.mp4.*--prompts FILE"):
        pair_videos([a.data, bare.data])
    with pytest.raises(UsageError, match=r"share no prompt .*try --pair-by name"):
        pair_videos([a.data, model("d", {"1": 0.1}).data])


def test_one_pair_has_no_interval_and_no_test(model):
    result = compare_runs([model("a", {"0": 0.2}), model("b", {"0": 0.3})])
    entry = result["comparisons"][0]["score"]
    assert entry["difference"] == pytest.approx(0.1)
    assert [entry[k] for k in ("ci95", "percent_ci95", "effect_size_dz", "p", "p_holm")] == [
        None
    ] * 5
    assert "one prompt: no interval and no test" in result["notes"][0]


def test_few_pairs_say_what_p_can_be(model):
    drifts = {f"{i}": 0.1 * i for i in range(4)}
    result = compare_runs([model("a", drifts), model("b", {k: v + 0.1 for k, v in drifts.items()})])
    assert "4 prompts" in result["notes"][0]
    assert "below 0.12" in result["notes"][0]
    assert result["comparisons"][0]["score"]["p"] == 0.125


def test_holm_covers_the_runs_and_apart_from_them_the_metrics(model):
    rng = np.random.default_rng(0)
    base = {f"{i}": 0.4 for i in range(8)}
    sharp = dict.fromkeys(base, 0.3)
    runs = [model("base", base, sharp=sharp)]
    for k in range(3):
        moved = {v: 0.4 + 0.1 * rng.normal() for v in base}
        runs.append(model(f"m{k}", moved, sharp={v: 0.3 + 0.05 * rng.normal() for v in base}))
    result = compare_runs(runs)
    p = [c["score"]["p"] for c in result["comparisons"]]
    holm = [c["score"]["p_holm"] for c in result["comparisons"]]
    assert min(holm) == pytest.approx(min(1, 3 * min(p)))
    metrics = [entry for c in result["comparisons"] for entry in c["metrics"].values()]
    smallest = min(metrics, key=lambda entry: entry["p"])
    assert smallest["p_holm"] == pytest.approx(min(1, 6 * smallest["p"]))


def test_ranks_hold_if_one_run_is_lower_in_every_metric_and_not_if_they_trade(model):
    low, high = {"0": 0.2, "1": 0.2}, {"0": 0.6, "1": 0.6}
    clear = compare_runs([model("a", low, sharp=low), model("b", high, sharp=high)])
    assert clear["rank_stability"]["same_order"] == 1
    assert clear["rank_stability"]["kendall_tau"] == 1
    traded = compare_runs(
        [model("a", low, sharp=high), model("b", high, sharp=dict.fromkeys(low, 0.1))]
    )
    # a: 0.2 w + 0.6 (1 - w) = 0.6 - 0.4 w; b: 0.1 + 0.5 w; a is lower for w > 5/9, and w is even.
    # With equal weights a has 0.4 and b 0.35, so the order holds for w < 5/9.
    assert traded["rank_stability"]["same_order"] == pytest.approx(5 / 9, abs=0.05)
    assert compare_runs([model("a", low), model("b", high)])["rank_stability"] is None


def test_runs_that_are_not_alike_are_refused(model, make_run):
    a = model("a", {"0": 0.2, "1": 0.3})
    terms = (PresetTerm(metric="saturation", family="low-level", scale=0.3, weight=1.0),)
    other = Preset(name="mine", terms=terms)
    changed = NamedRun(name="b", data=dataclasses.replace(a.data, preset=other))
    with pytest.raises(UsageError, match=r"different presets \(a: v1 \w+, b: mine \w+\)"):
        compare_runs([a, changed], allow_mixed=True)  # no flag allows this
    assert compare_runs([a, changed], preset=other)["preset"]["sha256"] == other.sha256
    for odd, words in (
        (model("b", {"0": 0.2}, segments=4), r"segments \(a: 5, b: 4\)"),
        (model("b", {"0": 0.2}, num_frames=100), r"lengths in frames \(a: 50, b: 100\)"),
        (model("b", {"0": 0.2}, media={"fps": 24.0}), r"frame rates \(a: 16.0, b: 24.0\)"),
        (model("b", {"0": 0.2}, cut_policy="drop-pair"), r"cut_policy \(a: keep, b: drop-pair\)"),
    ):
        with pytest.raises(UsageError, match=words):
            compare_runs([a, odd])
        notes = compare_runs([a, odd], allow_mixed=True)["notes"]
        assert any("compared although" in note for note in notes)
    codec = model("b", {"0": 0.2}, media={"codec": "hevc"})
    assert "codecs (a: h264, b: hevc)" in compare_runs([a, codec])["notes"][0]
    with pytest.raises(UsageError, match="one run only"):
        compare_runs([a])


def with_provenance(run, name, **facts):
    data = dataclasses.replace(run.data, provenance={**run.data.provenance, **facts})
    return NamedRun(name=name, data=data)


def test_other_weights_are_refused_and_random_ones_marked(model):
    run = model("a", {"0": 0.2, "1": 0.3})
    first, second = (
        with_provenance(run, name, weights={"x.pth": sha * 64})
        for name, sha in (("a", "1"), ("b", "2"))
    )
    with pytest.raises(UsageError, match=r"weights x.pth \(a: 111111111111, b: 222222222222\)"):
        compare_runs([first, second])
    assert "invalid" not in compare_runs([first, with_provenance(run, "b")])
    marked = compare_runs([run, with_provenance(run, "b", invalid="INVALID: random weights")])
    assert marked["invalid"] == marked["notes"][0] == "INVALID: random weights"


def test_files_sampled_at_one_rate_may_have_others(model):
    a = model("a", {"0": 0.2}, media={"fps": 16.0}, fps=8.0)
    b = model("b", {"0": 0.2}, media={"fps": 24.0}, fps=8.0)
    assert compare_runs([a, b])["comparisons"][0]["score"]["difference"] == 0


def test_metrics_can_be_narrowed_to_those_in_common(model):
    drifts = {"0": 0.2, "1": 0.6}
    a, b = model("a", drifts), model("b", drifts, sharp=drifts)
    with pytest.raises(UsageError, match="--metrics saturation compares on what they share"):
        compare_runs([a, b])
    result = compare_runs([a, b], metrics=("saturation",))
    assert (result["metrics"], result["comparisons"][0]["score"]["difference"]) == (
        ["saturation"],
        0,
    )
    with pytest.raises(UsageError, match="a has no sharpness"):
        compare_runs([a, b], metrics=("sharpness",))


def test_a_metric_compares_its_drift_under_preset_v1(model):
    result = compare_runs([model("a", {"0": 0.2, "1": 0.4}), model("b", {"0": 0.5, "1": 0.7})])
    entry = result["comparisons"][0]["metrics"]["saturation"]
    assert preset_v1().term("saturation").scale == SCALE
    assert (entry["baseline"], entry["run"]) == (pytest.approx(0.3), pytest.approx(0.6))


@pytest.fixture
def folders(model, tmp_path):
    runs = {"self-forcing": 0.355, "hiar": 0.257, "causvid": 0.842}
    for name, drift in runs.items():
        drifts = {f"{i:02}": drift + 0.01 * (i % 3 - 1) for i in range(9)}
        (tmp_path / name).mkdir()
        write_frames(tmp_path / name / "frames.parquet", model(name, drifts).data)
    return [tmp_path / name for name in runs]


def test_the_command_prints_a_table_and_writes_json(folders, command, tmp_path):
    code, text, _ = command("compare", *folders, "--out", tmp_path / "result.json")
    assert code == 0
    assert "9 pairs by prompt" in text
    row = next(line for line in text.splitlines() if line.startswith("hiar")).split()
    assert [row[i] for i in (1, 2, 6)] == ["0.2570", "-0.0980", "-27.6"]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["schema"] == "drift-compare/1"
    assert json.loads(command("compare", *folders, "--json")[1]) == result


def test_wrong_use_of_the_command_is_one_line(folders, command, tmp_path):
    for arguments, words in (
        (folders[:1], "alone; give two or more"),
        ([folders[0], folders[0]], "is given twice"),
        ([folders[0], tmp_path / "absent"], "no such file"),
        ([*folders, "--metrics", "colour"], "'colour' is unknown"),
        ([*folders, "--pair-by", "colour"], "invalid choice: 'colour'"),
    ):
        code, text, error = command("compare", *arguments)
        assert (code, error.count("\n"), text) == (2, 1, "")
        assert words in error


def test_versions_of_a_metric_are_never_compared(model):
    def versioned(name, version):
        run = model(name, {"x": 0.1, "y": 0.2})
        known = {} if version is None else {"metric_versions": {"saturation": version}}
        data = dataclasses.replace(run.data, provenance={**run.data.provenance, **known})
        return dataclasses.replace(run, data=data)

    with pytest.raises(UsageError, match="saturation"):
        compare_runs([versioned("a", 1), versioned("b", 2)], allow_mixed=True)
    assert compare_runs([versioned("a", 2), versioned("b", 2)])["pairs"] == 2
    assert compare_runs([versioned("a", None), versioned("b", 2)])["pairs"] == 2


def test_metrics_beside_the_score_move_no_test_of_the_others_and_seams_stand_beside(make_run):
    rng = np.random.default_rng(0)
    runs = {"with": [], "without": []}
    for name in ("a", "b"):
        values = {}
        for video in range(8):
            changes = rng.uniform(2.0, 2.2, 49)
            changes[8::12] += 3.0 * (name == "b")
            values[f"{video}.mp4"] = {
                "saturation": ramp(rng.uniform(0, 0.5)),
                "sharpness": np.exp(rng.normal(3, 0.1, 50)),
                "brightness": rng.uniform(0.4, 0.5, 50),
                "difference": changes,
            }
        prompts = {path: f"p {path}" for path in values}
        data = make_run(values, prompts=prompts, media={"frames": 50}, blocks=(9, 12))
        runs["with"].append(NamedRun(name=name, data=data))
        fast = {p: {k: v[k] for k in ("saturation", "sharpness")} for p, v in values.items()}
        runs["without"].append(NamedRun(name=name, data=make_run(fast, prompts=prompts)))
    beside, alone = (compare_runs(runs[kind]) for kind in ("with", "without"))
    assert beside["rank_stability"] == alone["rank_stability"]
    for metric, entry in alone["comparisons"][0]["metrics"].items():
        assert beside["comparisons"][0]["metrics"][metric] == entry
    smooth, jumpy = (run["seams"]["difference"] for run in beside["runs"])
    assert not smooth["found"]
    assert jumpy["found"]
    assert jumpy["seam_ratio"] > 2
    assert alone["runs"][0]["seams"] == {}
