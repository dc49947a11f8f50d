"""The error of a subset, from cases in which every subset is known."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from drift.errors import UsageError
from eval.cli.main import main
from eval.protocol.dimensions import DIMENSIONS
from eval.scores.results import read_results, read_run_facts, result_path
from eval.scores.subset import subset_errors

QUALITY = tuple(d for d in DIMENSIONS if d.group == "quality")


def write(folder: Path, dimension: str, aggregate: float, videos: Mapping[str, float]) -> None:
    rows = [{"video_path": name, "video_results": value} for name, value in videos.items()]
    result_path(folder, dimension).write_text(json.dumps({dimension: [aggregate, rows]}))


def errors_of(folder: Path, *sizes: int) -> dict[str, dict[str, float]]:
    results = read_results(folder)
    return subset_errors(folder, results, read_run_facts(folder, results), sizes)


def test_one_of_two_prompts_is_off_by_half_their_distance(tmp_path: Path) -> None:
    # Upstream's aggregate of imaging_quality is its mean over 100: 0.4 and 0.6 around 0.5.
    write(tmp_path, "imaging_quality", 0.5, {"0000-0.mp4": 40.0, "0001-0.mp4": 60.0})
    assert errors_of(tmp_path, 1)["1"] == {"imaging_quality": pytest.approx(0.1)}


def test_samples_of_a_prompt_are_drawn_together(tmp_path: Path) -> None:
    # Means of the prompts are 0.2 and 0.4; drawn alone, the videos would be off by up to 0.3.
    videos = {"a-0.mp4": 0.0, "a-1.mp4": 0.4, "b-0.mp4": 0.2, "b-1.mp4": 0.6}
    write(tmp_path, "temporal_flickering", 0.3, videos)
    assert errors_of(tmp_path, 1)["1"]["temporal_flickering"] == pytest.approx(0.1)


def test_quality_of_dimensions_with_the_same_prompts_shares_its_subsets(tmp_path: Path) -> None:
    # In every dimension the first prompt is 0.1 worse, so no subset is spared: the errors add up.
    for dimension in QUALITY:
        write(tmp_path, dimension.name, 0.75, {"0000-0.mp4": 0.7, "0001-0.mp4": 0.8})
    weights = sum(d.weight for d in QUALITY)
    expected = sum(d.weight * 0.05 / (d.high - d.low) for d in QUALITY) / weights
    assert errors_of(tmp_path, 1)["1"]["quality"] == pytest.approx(expected)


def test_more_prompts_are_nearer(tmp_path: Path) -> None:
    videos = {f"{index:04d}-0.mp4": (index % 10) / 10 for index in range(100)}
    write(tmp_path, "aesthetic_quality", 0.45, videos)
    found = errors_of(tmp_path, 10, 30, 90)
    errors = [found[str(size)]["aesthetic_quality"] for size in (10, 30, 90)]
    assert errors == sorted(errors, reverse=True)
    # Without putting back: 1.96 x 0.287 x sqrt((100 - 30) / (99 x 30)) = 0.0864; 2000 draws.
    assert errors[1] == pytest.approx(0.0864, rel=0.1)


def test_a_subset_must_be_smaller_than_the_record(tmp_path: Path) -> None:
    write(tmp_path, "aesthetic_quality", 0.5, {"a-0.mp4": 0.5, "b-0.mp4": 0.5})
    with pytest.raises(UsageError, match="--subset 2: aesthetic_quality was measured on 2 prompts"):
        errors_of(tmp_path, 2)
    result_path(tmp_path, "aesthetic_quality").write_text('{"aesthetic_quality": [0.5]}')
    with pytest.raises(UsageError, match="no values of single videos"):
        errors_of(tmp_path, 1)


@pytest.mark.parametrize("sizes", ["x", "0", "1,,2", ""])
def test_sizes_that_are_no_numbers_are_wrong_use(
    sizes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "aesthetic_quality", 0.5, {"a-0.mp4": 0.5, "b-0.mp4": 0.5})
    assert main(["score", str(tmp_path), "--subset", sizes]) == 2
    assert capsys.readouterr().err.count("\n") == 1
