"""`drift seams` on real mp4 files."""

import json
from pathlib import Path

import numpy as np
import pytest

from drift.cli.main import main
from drift.cli.seams import METRICS
from drift.seams.borders import sidecar_borders
from drift.seams.folder import measure_folder
from drift.seams.pairs import PAIR_METRICS

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
    one, two = (measure_folder(folder, workers=workers) for workers in (1, 2))
    assert one == two


def test_given_and_estimated_borders(folder: Path, tmp_path: Path, make_video) -> None:
    make_video(tmp_path / "a.mp4", drawn(121, 24), "libx264rgb", "rgb24")
    assert measure_folder(tmp_path)["borders_from"] == "estimated"
    record = measure_folder(tmp_path, metrics=("luminance", "difference"))
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
    found = sidecar_borders(tmp_path / "v.mp4")
    assert (found and (found.first, found.block)) == borders


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


def test_a_run_gives_the_pair_metrics_that_it_measured(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    argv = ["score", str(folder), "--out", str(run), "--metrics", "lpips", "--random-weights"]
    assert main(argv) == 0
    record = measure_folder(run, metrics=("lpips",))
    assert [one["path"] for one in record["videos"]] == ["a.mp4", "b.mp4"]
    assert main(["seams", str(run)]) == 2  # it holds no absolute differences
