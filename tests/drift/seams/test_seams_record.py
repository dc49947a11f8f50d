"""Seams of folders and of runs, on real mp4 files."""

import json
from pathlib import Path

import numpy as np
import pytest

from drift import ScoreConfig, rebuild, score_folder
from drift.cli.main import main
from drift.cli.seams import METRICS
from drift.metrics.networks.settings import MetricSettings
from drift.record.tables import read_frames
from drift.run.unsaved import measure_unsaved
from drift.seams.borders import sidecar_blocks
from drift.seams.pairs import DEFAULT_METRICS, PAIR_METRICS
from drift.seams.record import seams_of_run, seams_record
from drift.video.sidecars import read_sidecar

pytestmark = pytest.mark.numerics

BLOCK = 12


def drawn(num_frames: int, jump: int) -> list[np.ndarray]:
    """Noise that moves by a pixel a frame, lighter in every second block."""
    noise = np.random.default_rng(0).integers(60, 160, (64, 64 + num_frames, 3), dtype=np.uint8)
    blocks = [(i + 3) // BLOCK for i in range(num_frames)]
    return [
        np.ascontiguousarray(noise[:, i : i + 64]) + np.uint8(jump * (block % 2))
        for i, block in enumerate(blocks)
    ]


def measured(folder: Path, workers: int = 1):
    names = tuple(PAIR_METRICS[name].metric for name in DEFAULT_METRICS)
    config = ScoreConfig(metrics=names, segments=2)
    return measure_unsaved([folder], config, MetricSettings(), workers=workers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_video) -> Path:
    place = tmp_path_factory.mktemp("seams")
    for name, jump in (("a", 20), ("b", 24)):
        make_video(place / f"{name}.mp4", drawn(81, jump), "libx264rgb", "rgb24")
        sidecar = {"prompt": name, "config": {"frames_per_block": 3}, "beginning": None}
        (place / f"{name}.json").write_text(json.dumps(sidecar))
    return place


def test_the_record(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "seams.json"
    assert main(["seams", str(folder), "--out", str(out), "--workers", "1"]) == 0
    record = json.loads(out.read_text())
    assert (record["schema"], record["first"], record["block"]) == ("seams/1", 9, 12)
    assert record["borders_from"] == "sidecar"
    assert [one["path"] for one in record["videos"]] == ["a.mp4", "b.mp4"]
    jumps = [one["metrics"]["luminance"]["jump"] for one in record["videos"]]
    # Lossless: the step itself, less what a moving picture changes in light by itself.
    assert jumps == pytest.approx([20, 24], abs=0.5)
    entry = record["metrics"]["luminance"]
    assert entry["ci95"][0] <= entry["seam_ratio"] <= entry["ci95"][1]
    assert entry["seam_ratio"] > entry["largest_other_phase"]
    assert entry["found"]
    assert "luminance" in capsys.readouterr().out


def test_the_command_names_every_pair_metric() -> None:
    assert tuple(PAIR_METRICS) == METRICS


def test_workers_do_not_matter(folder: Path) -> None:
    one, two = (seams_record(measured(folder, workers)) for workers in (1, 2))
    assert one == two


def test_given_and_estimated_borders(folder: Path, tmp_path: Path, make_video) -> None:
    make_video(tmp_path / "a.mp4", drawn(121, 24), "libx264rgb", "rgb24")
    data = measured(tmp_path)
    assert seams_record(data)["borders_from"] == "estimated"
    record = seams_record(data, metrics=("luminance", "difference"))
    assert (record["block"], record["first"] % 12) == (12, 9)


@pytest.mark.parametrize(
    ("text", "borders"),
    [
        ('{"config": {"frames_per_block": 1}}', (1, 4)),
        ('{"config": {"frames_per_block": 3}, "beginning": {"path": "x"}}', None),
        ('{"config": {"frames_per_block": "3"}}', None),
        ('{"prompt": "x"}', None),
        ("[1]", None),
        ("{", None),
    ],
)
def test_sidecars(tmp_path: Path, text: str, borders: tuple[int, int] | None) -> None:
    (tmp_path / "v.json").write_text(text)
    assert sidecar_blocks(read_sidecar(tmp_path / "v.json").data) == borders


def test_a_broken_and_a_short_video_are_listed(folder: Path, tmp_path: Path, make_video) -> None:
    make_video(tmp_path / "a.mp4", drawn(81, 20))
    make_video(tmp_path / "short.mp4", drawn(15, 20))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    argv = ["seams", str(tmp_path), "--first", "9", "--block", "12"]
    out = tmp_path / "r.json"
    assert main([*argv, "--out", str(out)]) == 1
    record = json.loads(out.read_text())
    assert [one["path"] for one in record["videos"]] == ["a.mp4"]
    assert [(one["path"], one["status"]) for one in record["failed"]] == [
        ("broken.mp4", "unreadable"),
        ("short.mp4", "too_short"),
    ]
    assert main([*argv, "--allow-missing"]) == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--first", "9"),
        ("--first", "0", "--block", "12"),
        ("--metrics", "musiq"),
        ("--metrics", ","),
        ("--first", "70", "--block", "12"),
        ("--figure", "seams.docx"),
        ("--beside", __file__),
    ],
)
def test_wrong_use(folder: Path, options: tuple[str, ...], capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["seams", str(folder), "--workers", "1", *options]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_figure(folder: Path, tmp_path: Path) -> None:
    record = tmp_path / "before.json"
    assert main(["seams", str(folder), "--out", str(record)]) == 0
    picture = tmp_path / "seams.png"
    assert main(["seams", str(folder), "--figure", str(picture), "--beside", str(record)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_run_tells_its_seams_without_decoding(folder: Path, tmp_path: Path) -> None:
    run = score_folder(folder, out=tmp_path / "run", progress=None)
    seams = run.summary["seams"]
    assert (seams["first"], seams["block"], seams["borders_from"]) == (9, 12, "sidecar")
    record = seams_record(read_frames(run.out / "frames.parquet"))
    assert record["metrics"] == seams["metrics"] == seams_record(measured(folder))["metrics"]
    assert [one["metrics"]["luminance"]["found"] for one in seams["videos"]] == [True, True]
    out = tmp_path / "seams.json"
    assert main(["seams", str(run.out), "--out", str(out)]) == 0
    assert json.loads(out.read_text())["metrics"] == record["metrics"]
    assert main(["seams", str(run.out), "--metrics", "lpips"]) == 2  # it has none


def test_given_blocks_stay_with_the_run_and_change_no_score(folder: Path, tmp_path: Path) -> None:
    config = ScoreConfig(blocks=(5, 8))
    run = score_folder(folder, out=tmp_path, config=config, progress=None)
    assert run.summary["seams"]["borders_from"] == "given"
    assert not run.summary["seams"]["metrics"]["luminance"]["found"]
    again = rebuild(tmp_path, blocks=(9, 12))
    assert again.summary["seams"]["metrics"]["luminance"]["found"]
    assert rebuild(tmp_path).summary == again.summary
    record = seams_record(read_frames(tmp_path / "frames.parquet"))  # as `drift seams RUN` does
    assert (record["first"], record["block"], record["borders_from"]) == (9, 12, "given")
    assert again.summary["drift_score"] == run.summary["drift_score"]


def test_a_run_without_seams_says_why(folder: Path, tmp_path: Path) -> None:
    for config, words in (
        (ScoreConfig(metrics=("fast",)), "score difference too"),
        (ScoreConfig(fps=8), "without --fps"),
        (ScoreConfig(blocks=(80, 12)), "fewer than 2 borders"),
    ):
        run = score_folder(folder, out=tmp_path, config=config, progress=None)
        seams = seams_of_run(read_frames(run.out / "frames.parquet"))
        assert seams["metrics"] == {}
        assert words in seams["reason"]


def test_learned_pair_metrics_are_read_from_a_run(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    argv = ["score", str(folder), "--out", str(run), "--metrics", "lpips", "--random-weights"]
    assert main(argv) == 0
    record = seams_record(read_frames(run / "frames.parquet"), metrics=("lpips",))
    assert [one["path"] for one in record["videos"]] == ["a.mp4", "b.mp4"]
