"""Scene cuts: found where they were put, not in motion, and dropped from pair metrics only."""

import numpy as np
import pytest

from drift import ScoreConfig, UsageError, rebuild
from drift.metrics.preset import preset_v1
from drift.record.tables import write_frames
from drift.run.score_folder import write_results
from drift.score.cuts import droppable, find_cuts
from drift.score.score import score_video

pytestmark = pytest.mark.numerics


def pairs(num_frames: int = 60, seed: int = 0) -> dict[str, list[float]]:
    """Steady motion with noise."""
    rng = np.random.default_rng(seed)
    return {
        "dino_coherence": (0.98 + 0.005 * rng.normal(size=num_frames - 1)).tolist(),
        "lpips": (0.05 + 0.01 * rng.normal(size=num_frames - 1)).tolist(),
    }


def cut_at(series: dict[str, list[float]], *places: int) -> dict[str, list[float]]:
    changed = {name: list(values) for name, values in series.items()}
    for place in places:
        changed["dino_coherence"][place], changed["lpips"][place] = 0.3, 0.6
    return changed


@pytest.mark.parametrize("places", [(), (7,), (0, 30, 58)])
def test_cuts_are_found_where_they_are(places):
    assert find_cuts(cut_at(pairs(), *places)) == places


def test_every_pair_metric_must_agree():
    series = cut_at(pairs(), 20)
    for name in series:
        assert find_cuts({name: series[name]}) == (20,)
        assert find_cuts({**series, name: pairs()[name]}) == ()
    assert find_cuts({"saturation": [0.1] * 30 + [0.9] * 30}) == ()


def test_wild_motion_is_no_cut_though_large():
    # Every pair is far from the next: 0.6 is 3 robust deviations here, not 6.
    rng = np.random.default_rng(1)
    assert find_cuts({"lpips": np.clip(0.4 + 0.12 * rng.normal(size=300), 0, 1).tolist()}) == ()


def test_a_still_video_has_cuts_only_where_it_jumps():
    assert find_cuts({"lpips": [0.0] * 59}) == ()
    assert find_cuts({"lpips": [0.0] * 20 + [0.5] + [0.0] * 38}) == (20,)
    assert find_cuts({"lpips": [0.0] * 20 + [0.1] + [0.0] * 38}) == ()


def test_no_segment_loses_its_last_pair():
    # Segments of two frames: pairs {0, 1}, {2, 3}, ..., {8}; 2 and 3 are all that segment 2 has.
    assert droppable((1, 2, 3, 8), 9, 10, 5) == (1,)


def score(values, policy):
    num_frames = len(values["lpips"]) + 1
    return score_video(
        "a",
        "a",
        values,
        preset=preset_v1(),
        num_frames=num_frames,
        num_segments=5,
        cut_policy=policy,
    )


def test_dropping_a_cut_gives_the_mean_of_the_other_pairs():
    values = {**cut_at(pairs(), 55), "saturation": [0.3] * 60}
    kept, dropped = score(values, "keep"), score(values, "drop-pair")
    assert kept.cuts == dropped.cuts == (55,)
    rest = [v for i, v in enumerate(values["lpips"]) if i >= 48 and i != 55]
    assert dropped.metrics["lpips"].segment_means[4] == pytest.approx(np.mean(rest))
    assert kept.metrics["lpips"].segment_means[4] > dropped.metrics["lpips"].segment_means[4]
    assert kept.metrics["saturation"] == dropped.metrics["saturation"]
    assert score(pairs(), "keep") == score(pairs(), "drop-pair")


def test_a_run_changes_its_policy_without_decoding(make_run, tmp_path):
    values = {"b.mp4": cut_at(pairs(), 55), "a.mp4": pairs(seed=3)}
    run = make_run(values)
    write_frames(tmp_path / "frames.parquet", run)
    before = write_results(run, tmp_path).summary
    assert before["cuts"] == {
        "policy": "keep",
        "looked_for_in": ["dino_coherence", "lpips"],
        "pairs": 1,
        "videos": [{"path": "b.mp4", "pairs": [55]}],
    }
    after = rebuild(tmp_path, cut_policy="drop-pair").summary
    assert after["cuts"] == {**before["cuts"], "policy": "drop-pair"}
    assert after["drift_score"]["value"] < before["drift_score"]["value"]
    assert rebuild(tmp_path).summary == after  # the run keeps it
    back = rebuild(tmp_path, cut_policy="keep").summary
    assert back["drift_score"] == before["drift_score"]


def test_an_unknown_policy_is_named():
    with pytest.raises(UsageError, match="'ignore'; choose from keep, drop-pair"):
        ScoreConfig(cut_policy="ignore")  # type: ignore[arg-type]
