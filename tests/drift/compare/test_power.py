"""`drift power` and the smallest difference of `drift compare`, from runs in memory and on disk."""

import json
from dataclasses import replace

import numpy as np
import pytest

from drift import UsageError
from drift.compare.comparable import NamedRun
from drift.compare.comparison import compare_runs
from drift.compare.power import power_of_runs
from drift.record.tables import write_frames
from drift.stats.power import prompts_needed, smallest_difference

pytestmark = pytest.mark.numerics

SCALE = 0.15  # of saturation in preset v1
NUM_PROMPTS = 12


def ramp(drift: float) -> list[float]:
    return np.repeat(0.2 + drift * SCALE * np.arange(5) / 4, 10).tolist()


@pytest.fixture
def model(make_run):
    def build(name, drifts):
        values = {f"{i:02}.mp4": {"saturation": ramp(drift)} for i, drift in enumerate(drifts)}
        return NamedRun(name=name, data=make_run(values, prompts={path: path for path in values}))

    return build


@pytest.fixture
def drifts():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 0.6, NUM_PROMPTS)
    return hard, hard + rng.normal(0.05, 0.03, NUM_PROMPTS)


def test_the_numbers_follow_from_the_spread_over_prompts(model, drifts):
    a, b = drifts
    record = power_of_runs([model("a", a), model("b", b)], detect=0.1)
    entry = record["score"]
    assert entry["mean"] == pytest.approx(a.mean())
    assert entry["difference"] == pytest.approx(0.1 * a.mean())
    both = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    assert entry["deviation"] == pytest.approx(both)
    spread = (b - a).std(ddof=1)
    assert entry["paired"]["deviation"] == pytest.approx(spread)
    wanted = 0.1 * a.mean()
    assert entry["unpaired"]["prompts"] == prompts_needed(both, wanted, paired=False)
    assert entry["paired"]["prompts"] == prompts_needed(spread, wanted, paired=True)
    assert entry["paired"]["prompts"] < entry["unpaired"]["prompts"] / 10  # prompts explain most
    for design in ("paired", "unpaired"):
        low, high = entry[design]["ci95"]
        assert low <= entry[design]["prompts"] <= high
        powers = [point["power"] for point in entry[design]["curve"]]
        assert powers == sorted(powers)
        assert powers[-1] > 0.8
    alone = record["metrics"]["saturation"]  # the score of one metric is its drift
    assert alone["paired"]["prompts"] == entry["paired"]["prompts"]


def test_one_run_gives_no_paired_number_and_an_absolute_difference_is_taken_as_it_is(model, drifts):
    record = power_of_runs([model("a", drifts[0])], detect=0.05, relative=False)
    assert record["score"]["difference"] == 0.05
    assert record["score"]["paired"] is None
    assert record["notes"]
    assert record["score"]["unpaired"]["prompts"] > 0


def test_runs_of_other_prompts_give_unpaired_numbers_and_a_note(model, drifts, make_run):
    a = model("a", drifts[0])
    values = {row.path: {"saturation": row.values["saturation"]} for row in a.data.rows}
    other = make_run(values, prompts={path: f"other {path}" for path in values})
    record = power_of_runs([a, NamedRun(name="b", data=other)])
    assert record["score"]["paired"] is None
    assert record["score"]["deviation"] == pytest.approx(drifts[0].std(ddof=1))
    assert len(record["notes"]) == 1


def test_a_run_without_drift_has_nothing_to_find_a_share_of(model):
    entry = power_of_runs([model("a", [0.0] * NUM_PROMPTS)])["score"]
    assert (entry["difference"], entry["unpaired"]) == (0, None)


def test_random_weights_are_marked(model, drifts):
    run = model("a", drifts[0])
    mark = "INVALID: random weights"
    marked = replace(
        run, data=replace(run.data, provenance={**run.data.provenance, "invalid": mark})
    )
    assert "invalid" not in power_of_runs([run])
    assert power_of_runs([marked])["invalid"] == mark


def test_one_prompt_tells_nothing(model):
    with pytest.raises(UsageError):
        power_of_runs([model("a", [0.1])])


def test_compare_says_what_its_prompts_could_have_shown(model, drifts):
    a, b = drifts
    entry = compare_runs([model("a", a), model("b", b)])["comparisons"][0]["score"]
    spread = (b - a).std(ddof=1)
    assert entry["smallest_detectable"] == pytest.approx(smallest_difference(spread, NUM_PROMPTS))
    few = compare_runs([model("a", a[:5]), model("b", b[:5])])["comparisons"][0]["score"]
    assert few["smallest_detectable"] is None


def test_the_command(model, drifts, tmp_path, command):
    for name, values in zip("ab", drifts, strict=True):
        write_frames(tmp_path / name / "frames.parquet", model(name, values).data)
    out, figure = tmp_path / "power.json", tmp_path / "power.svg"
    runs = (tmp_path / "a", tmp_path / "b")
    code, said, _ = command("power", *runs, "--detect", "10%", "--out", out, "--figure", figure)
    assert code == 0
    record = json.loads(out.read_text())
    assert str(record["score"]["paired"]["prompts"]) in said
    assert figure.read_text().lstrip().startswith("<?xml")
    code, said, _ = command("compare", *runs)
    assert code == 0
    assert "80 of 100" in said
    for wrong in (["--detect", "much"], ["--detect", "0%"], ["--figure", tmp_path / "p.doc"]):
        code, _, said = command("power", *runs, *wrong)
        assert (code, len(said.splitlines())) == (2, 1)
